package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// Server is the TLS configuration of a server: TLS 1.3 only, mutual, the chain
// of who calls checked against the CA. Which role a call takes is asked for each
// call: see Require. With gRPC use ServerCredentials, which says more about
// those that it refuses.
func (k *Keeper) Server() *tls.Config {
	c := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAnyClientCert, // checked in VerifyConnection
		SessionTicketsDisabled: true,                     // a resumed session would keep an old CA's word
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &k.current().cert, nil
		},
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		return k.verify(s, x509.ExtKeyUsageClientAuth, nil)
	}
	return c
}

// Client is the TLS configuration of a client that wants to talk to a server of
// one of the roles, whatever its host name.
func (k *Keeper) Client(want ...Role) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The library would check the host name, and cannot check roles: the chain
		// and the role are checked in VerifyConnection, for every connection.
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &k.current().cert, nil
		},
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		return k.verify(s, x509.ExtKeyUsageServerAuth, want)
	}
	return c
}

// verify checks the chain that the other side shows, and its role where one is
// wanted.
func (k *Keeper) verify(s tls.ConnectionState, usage x509.ExtKeyUsage, want []Role) error {
	shown := s.PeerCertificates
	if len(shown) == 0 {
		return errors.New("the other side shows no certificate")
	}
	if err := k.current().verify(shown[:1], usage, shown[1:]); err != nil {
		return err
	}
	if p := peerOf(shown[0]); want != nil && !p.Has(want...) {
		return fmt.Errorf("the certificate of %s has %s, and a %s is wanted here", p.Name, p.has(), list(want, " or "))
	}
	return nil
}

// verify checks a certificate's chain, and says in an operator's words what is
// wrong with it.
func (h *holding) verify(leaf []*x509.Certificate, usage x509.ExtKeyUsage, between []*x509.Certificate) error {
	c, pool := leaf[0], x509.NewCertPool()
	for _, b := range between {
		pool.AddCert(b)
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: h.cas, Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{usage}})
	if err == nil {
		return nil
	}
	name := c.Subject.CommonName
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return expired(invalid.Cert, time.Now())
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("the certificate of %s was signed by %s, and not by a CA in %s: use certificates of one CA, or put both CAs into the file",
			name, c.Issuer.CommonName, h.ca)
	}
	return fmt.Errorf("the certificate of %s: %w", name, err)
}

// nowIs stands before the present time.
const nowIs = ", and it is "

// expired says which way a certificate's time is over.
func expired(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) {
		return fmt.Errorf("the certificate of %s is not valid before %s"+nowIs+"%s here: check the clocks",
			c.Subject.CommonName, c.NotBefore.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("the certificate of %s expired at %s"+nowIs+"%s here: issue a new one",
		c.Subject.CommonName, c.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

// host is where a connection comes from or goes to, for people.
func host(a net.Addr) string {
	if a == nil {
		return "unknown"
	}
	return a.String()
}
