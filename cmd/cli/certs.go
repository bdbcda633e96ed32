package cli

import "github.com/spf13/cobra"

func (a *app) certsCommand() *cobra.Command { return &cobra.Command{Use: "certs", Hidden: true} }
