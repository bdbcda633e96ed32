package cli

import (
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/cli/settings"
	"github.com/millrace/millrace/identity"
)

// gossipProfiles are the values of --gossip-profile.
var gossipProfiles = []string{"local", "lan", "wan"}

// addTLSFlags adds the files of a certificate.
func addTLSFlags(f settings.Flags, files *identity.Files) {
	f.Text(&files.Cert, "tls-cert", "file", "", "this end's certificate, in PEM, for TLS both ways")
	f.Text(&files.Key, "tls-key", "file", "", "its key")
	f.Text(&files.CA, "tls-ca", "file", "", "the authority that signed the other end's certificate")
}

// exposure are the settings of a process that others reach.
type exposure struct {
	advertise, gossipKeyFile, gossipProfile *string
	insecure                                *bool
	tls                                     *identity.Files
}

func addExposureFlags(f settings.Flags, e exposure, advertise string) {
	f.Text(e.advertise, "advertise", "host[:port]", advertise, "tell others to reach this process at")
	f.Text(e.gossipKeyFile, "gossip-key-file", "file", "", "encrypt gossip with the keys in this file, the first one for sending")
	f.Choice(e.gossipProfile, "gossip-profile", "by the address", "how soon gossip takes silence for death", gossipProfiles...)
	addTLSFlags(f, e.tls)
	f.Switch(e.insecure, "insecure", "let everybody who reaches this process do everything: listen beyond this machine without TLS or without a gossip key")
}

// securityFlags are those of the functions above, for a command's help.
var securityFlags = []string{"tls-cert", "tls-key", "tls-ca", "gossip-key-file", "insecure"}

// completeFiles has shells complete the files and names of security.
func completeFiles(cmd *cobra.Command) {
	for _, name := range []string{"tls-cert", "tls-key", "tls-ca", "gossip-key-file"} {
		if cmd.Flags().Lookup(name) != nil {
			if err := cmd.MarkFlagFilename(name); err != nil {
				panic(err) // a flag that is not there
			}
		}
	}
	if cmd.Flags().Lookup("gossip-profile") != nil {
		complete(cmd, "gossip-profile", gossipProfiles...)
	}
}
