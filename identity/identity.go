// Package identity says who is at the other end of a connection, and what they
// may do: certificates, roles and mutual TLS. What is decided here is whom a
// certificate makes somebody, and whether it counts; which role a call takes is
// decided by the service that serves it.
//
// A certificate's common name is its owner's name, and each organizational unit
// "millrace:ROLE" in its subject is a role that they have. Both sides of a
// connection check the chain up to the cluster's own CA, and the role; host
// names are not checked, since workers come and go on any address (see
// docs/adr/0006-roles-not-host-names.md).
package identity

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/millrace/millrace/api"
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

// Roles are all roles.
func Roles() []Role { return []Role{Worker, Client, Operator, Coordinator} }

// unitPrefix marks the organizational units that are roles here, among those
// that a company's own CA may give.
const unitPrefix = "millrace:"

// Peer is who is at the other end.
type Peer struct {
	// Name is the name in its certificate.
	Name string
	// Roles are what it may be.
	Roles []Role
}

// Has says whether the peer has one of the roles.
func (p Peer) Has(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(p.Roles, r) })
}

// has is p's roles for people.
func (p Peer) has() string {
	if len(p.Roles) == 0 {
		return "no role (no organizational unit " + unitPrefix + "ROLE)"
	}
	return "the role " + list(p.Roles, " and ")
}

func list(roles []Role, between string) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, between)
}

func peerOf(c *x509.Certificate) Peer {
	p := Peer{Name: c.Subject.CommonName}
	for _, role := range Roles() {
		if slices.Contains(c.Subject.OrganizationalUnit, unitPrefix+string(role)) {
			p.Roles = append(p.Roles, role)
		}
	}
	return p
}

// PeerOf is the peer of a gRPC call; false without TLS.
func PeerOf(ctx context.Context) (Peer, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Peer{}, false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return Peer{}, false
	}
	if shown := info.State.PeerCertificates; len(shown) > 0 {
		return peerOf(shown[0]), true
	}
	return Peer{}, true
}

// Require is nil when the peer of a gRPC call has one of the roles, or when the
// call came without TLS, and otherwise an *api.Error with code Forbidden that
// says what it lacks.
func Require(ctx context.Context, roles ...Role) error {
	p, secured := PeerOf(ctx)
	if !secured || p.Has(roles...) {
		return nil
	}
	return api.Errorf(api.Forbidden, "the certificate of %s has %s, and this call takes %s: use a certificate with that role",
		p.Name, p.has(), list(roles, " or "))
}
