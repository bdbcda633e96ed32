package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/cli/settings"
	"github.com/millrace/millrace/fleet"
	"github.com/millrace/millrace/identity"
)

// How long certificates are valid when nobody says, and an authority at least.
const (
	defaultValidity   = 365 * 24 * time.Hour
	authorityValidity = 10 * defaultValidity
)

// certsOptions are the flags of `certs`.
type certsOptions struct {
	name  string
	roles []identity.Role
	hosts []string
	valid time.Duration
}

func (a *app) certsCommand() *cobra.Command {
	o := &certsOptions{valid: defaultValidity}
	cmd := &cobra.Command{
		Use: "certs folder", Short: "Make a small certificate authority, for trying TLS out",
		Long: `Make a certificate authority in a folder, a certificate each for a coordinator,
a worker, a client and an operator, and a key for gossip; then say how they are
used. Nothing that is there is replaced: in a folder that has an authority, what
is missing is made, and with --name one more certificate.

What a certificate permits is in it: a worker's can't submit jobs, a client's
can't lease batches, and only an operator's can drain and cordon. Its name is
the user whose jobs and quota count. Servers are known by their role, not by the
name of their host, since addresses change.

For a cluster of importance use the authority that you have: the roles are
organizational units (OU) of a certificate's subject, millrace:worker and so on,
its name is the common name (CN).`,
		Example: `  millrace certs pki
  millrace certs pki --name anna --role client --role operator
  millrace certs pki --name rack7-3 --role worker --valid 30d`,
		Args: exactlyOne("into which folder?"),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.name, "name", "", "make one certificate with this `name`")
	flags.Var(&value{kind: "name", parse: o.addRole}, "role", "what it is for, any number of: "+strings.Join(roleNames(), ", "))
	flags.StringArrayVar(&o.hosts, "host", nil, "a host's name or `address` to have in it too, for clients that look at it")
	flags.Var(&value{kind: "time", parse: func(s string) (err error) {
		o.valid, err = settings.Time(time.Second)(s)
		return err
	}}, "valid", "make certificates valid for so long (365d)")
	complete(cmd, "role", roleNames()...)
	cmd.RunE = func(_ *cobra.Command, args []string) error { return a.certs(args[0], o) }
	return cmd
}

// roleNames are what a certificate may be for.
func roleNames() []string {
	var names []string
	for _, role := range identity.Roles() {
		names = append(names, string(role))
	}
	return names
}

func (o *certsOptions) addRole(name string) error {
	if !slices.Contains(roleNames(), name) {
		return fmt.Errorf("it is not one of %s", strings.Join(roleNames(), ", "))
	}
	o.roles = append(o.roles, identity.Role(name))
	return nil
}

func (o *certsOptions) check() error {
	if (o.name == "") != (len(o.roles) == 0) {
		return usage("--name and --role go together: a certificate's name, and what it is for")
	}
	return nil
}

// madeJSON is what `certs` prints as JSON.
type madeJSON struct {
	Folder string   `json:"folder"`
	Made   []string `json:"made"`
}

func (a *app) certs(folder string, o *certsOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return failed(err)
	}
	m := &maker{folder: folder, options: o}
	m.authority()
	if o.name != "" {
		m.certificate(o.name, o.roles...)
	} else {
		for _, role := range identity.Roles() {
			m.certificate(string(role), role)
		}
		m.gossipKey()
	}
	if m.err != nil {
		return failed(m.err)
	}
	if a.json {
		return a.printJSON(madeJSON{folder, list(m.made)})
	}
	return a.print("%s%s", m.text(), howToUse(folder, o.name))
}

// maker makes what is not there yet, until something fails.
type maker struct {
	folder  string
	options *certsOptions
	made    []string
	err     error
}

// missing says whether a file is still to be made.
func (m *maker) missing(name string) bool {
	if m.err != nil {
		return false
	}
	_, err := os.Lstat(filepath.Join(m.folder, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.err = err
	}
	return errors.Is(err, fs.ErrNotExist)
}

func (m *maker) authority() {
	if m.missing("ca.crt") {
		m.err = identity.MakeCA(m.folder, max(authorityValidity, 2*m.options.valid))
		m.made = append(m.made, "ca.crt", "ca.key")
	}
}

func (m *maker) certificate(name string, roles ...identity.Role) {
	if !m.missing(name + ".crt") {
		return
	}
	_, m.err = identity.Issue(m.folder, name, roles, m.hosts(name, roles), m.options.valid)
	m.made = append(m.made, name+".crt", name+".key")
}

// hosts are the names that a server's certificate has, for clients that look at
// them, as ours do not: its own, by which it can be called anywhere, and this
// machine's.
func (m *maker) hosts(name string, roles []identity.Role) []string {
	if !slices.Contains(roles, identity.Coordinator) && !slices.Contains(roles, identity.Worker) {
		return m.options.hosts
	}
	hosts := append(slices.Clone(m.options.hosts), name, "localhost", "127.0.0.1", "::1")
	if host, err := os.Hostname(); err == nil && !slices.Contains(hosts, host) {
		hosts = append(hosts, host)
	}
	return hosts
}

func (m *maker) gossipKey() {
	const name = "gossip.key"
	if m.missing(name) {
		m.err = os.WriteFile(filepath.Join(m.folder, name), []byte(fleet.NewKey()+"\n"), 0o600)
		m.made = append(m.made, name)
	}
}

// text says what was made.
func (m *maker) text() string {
	if len(m.made) == 0 {
		return "Everything was there already: nothing was made.\n"
	}
	return fmt.Sprintf("Made in %s: %s\n", m.folder, strings.Join(m.made, ", "))
}

// howToUse says what to do with the files.
func howToUse(folder, name string) string {
	at := func(file string) string { return filepath.Join(folder, file) }
	tls := func(name string) string {
		return fmt.Sprintf("--tls-cert %s --tls-key %s --tls-ca %s", at(name+".crt"), at(name+".key"), at("ca.crt"))
	}
	if name != "" {
		return fmt.Sprintf("\nUse it with:\n  %s\n", tls(name))
	}
	return fmt.Sprintf(`
A coordinator, a worker and a client with them:
  millrace coordinator --listen 0.0.0.0:7400 --gossip-key-file %[1]s \
    %[2]s
  millrace worker --join COORDINATOR:7401 --gossip-key-file %[1]s \
    %[3]s
  millrace workers --server COORDINATOR:7400 \
    %[4]s

Keep ca.key to yourself: whoever has it makes certificates of any role.
`, at("gossip.key"), tls("coordinator"), tls("worker"), tls("operator"))
}
