// Package identity says who is at the other end of a connection, and what they
// may do: certificates, roles and mutual TLS.
package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"
)

// Role is what a certificate's owner may be.
type Role string

// The roles.
const (
	// Worker leases batches and serves outputs.
	Worker Role = "worker"
	// Client submits jobs, follows them and reads results.
	Client Role = "client"
	// Operator may do what a client may, and drains and cordons workers.
	Operator Role = "operator"
	// Coordinator serves clients and workers.
	Coordinator Role = "coordinator"
)

// Files are the paths of a certificate, its key and the CA that signs all of a
// cluster's certificates, each in PEM. All empty: no TLS.
type Files struct {
	Cert, Key, CA string
}

// Set says whether TLS is wanted: whether any of the files is named.
func (f Files) Set() bool { return f != Files{} }

// Keeper holds a certificate and the CA, and reads them again when their files
// have changed.
type Keeper struct{}

// Open reads the files, and says all that is wrong with them.
func Open(f Files) (*Keeper, error) { return nil, errors.New("identity: not yet") }

// LogTo has the keeper say in log when it took up new files, and why it did
// not; slog's default until then.
func (k *Keeper) LogTo(log *slog.Logger) {}

// Server is the TLS configuration of a server: TLS 1.3, mutual.
func (k *Keeper) Server() *tls.Config { return nil }

// Client is the TLS configuration of a client that wants to talk to a server of
// one of the roles.
func (k *Keeper) Client(want ...Role) *tls.Config { return nil }

// Peer is who is at the other end.
type Peer struct {
	// Name is the name in its certificate.
	Name string
	// Roles are what it may be.
	Roles []Role
}

// PeerOf is the peer of a gRPC call; false without TLS.
func PeerOf(ctx context.Context) (Peer, bool) { return Peer{}, false }

// Require is nil when the peer of a gRPC call has one of the roles, or when the
// call came without TLS, and otherwise an error that says what it lacks.
func Require(ctx context.Context, roles ...Role) error { return errors.New("identity: not yet") }

// MakeCA writes a new certificate authority into the folder dir: ca.crt and
// ca.key. It replaces nothing.
func MakeCA(dir string, validity time.Duration) error { return errors.New("identity: not yet") }

// Issue writes name.crt and name.key into the folder dir, signed by the CA there. It
// replaces nothing.
func Issue(dir, name string, roles []Role, hosts []string, validity time.Duration) (Files, error) {
	return Files{}, errors.New("identity: not yet")
}

// CheckExposure is nil when listening on listen is safe: on loopback, or with TLS
// and a gossip key, or when insecure says that it is meant. Otherwise it says
// what is open to whom, and what to do.
func CheckExposure(listen string, hasTLS, hasKey, insecure bool) error {
	return errors.New("identity: not yet")
}
