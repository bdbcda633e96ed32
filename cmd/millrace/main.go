// Command millrace runs queries, programs and functions over many files in
// micro-batches. Everything that it does is in package cli, which a binary with
// functions of its own uses too.
package main

import "github.com/millrace/millrace/cmd/cli"

func main() { cli.Main() }
