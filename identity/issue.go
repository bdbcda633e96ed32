package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The files of a CA in its folder.
const (
	caCert = "ca.crt"
	caKey  = "ca.key"
)

// backdate is how far a fresh certificate's time begins in the past, for clocks
// that differ.
const backdate = time.Hour

// sameEnd is how much longer than its CA's a certificate's validity may be
// asked for, and ends with it: both were made valid for as long, one after the
// other.
const sameEnd = 24 * time.Hour

// MakeCA writes a new certificate authority into the folder dir, which is made
// if need be: ca.crt, for everybody, and ca.key, for whoever issues
// certificates. It replaces nothing.
func MakeCA(dir string, validity time.Duration) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c, err := template("millrace CA "+rand.Text()[:8], validity)
	if err != nil {
		return err
	}
	c.IsCA, c.BasicConstraintsValid, c.MaxPathLenZero = true, true, true
	c.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return err
	}
	return writePair(filepath.Join(dir, caCert), filepath.Join(dir, caKey), der, key)
}

// Issue writes name.crt and name.key into the folder dir, signed by the CA
// there, and gives the paths of both and the CA. Hosts are names and addresses
// for other programs, which check them; Millrace does not. It replaces nothing.
func Issue(dir, name string, roles []Role, hosts []string, validity time.Duration) (Files, error) {
	c, err := request(name, roles, hosts, validity)
	if err != nil {
		return Files{}, err
	}
	return sign(dir, c)
}

// sign signs what a certificate is to say, and writes it.
func sign(dir string, c *x509.Certificate) (Files, error) {
	name := c.Subject.CommonName
	f := Files{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key"), CA: filepath.Join(dir, caCert)}
	ca, err := tls.LoadX509KeyPair(f.CA, filepath.Join(dir, caKey))
	if err != nil {
		return Files{}, fmt.Errorf("the CA in %s: %w", dir, err)
	}
	if over := c.NotAfter.Sub(ca.Leaf.NotAfter); 0 < over && over < sameEnd {
		c.NotAfter = ca.Leaf.NotAfter
	}
	if c.NotAfter.After(ca.Leaf.NotAfter) {
		return Files{}, fmt.Errorf("the certificate of %q would outlive the CA in %s, which ends at %s: make it valid for less",
			name, dir, ca.Leaf.NotAfter.Format(time.RFC3339))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Files{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		return Files{}, err
	}
	return f, writePair(f.Cert, f.Key, der, key)
}

// request is what a certificate is to say, or all that is wrong with that.
func request(name string, roles []Role, hosts []string, validity time.Duration) (*x509.Certificate, error) {
	c, err := template(name, validity)
	errs := []error{err}
	if name == "" || len(name) > 63 || strings.ContainsAny(name, `/\`) || name == "ca" {
		errs = append(errs, fmt.Errorf("the name %q: it must have 1 to 63 bytes, be no path, and not be ca", name))
	}
	if len(roles) == 0 {
		errs = append(errs, fmt.Errorf("no role: give one or more of %s", list(Roles(), ", ")))
	}
	for _, r := range roles {
		if !slices.Contains(Roles(), r) {
			errs = append(errs, fmt.Errorf("the role %q: it is one of %s", r, list(Roles(), ", ")))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, r := range roles {
		c.Subject.OrganizationalUnit = append(c.Subject.OrganizationalUnit, unitPrefix+string(r))
	}
	c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if slices.Contains(roles, Worker) || slices.Contains(roles, Coordinator) {
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	return c, nil
}

func template(name string, validity time.Duration) (*x509.Certificate, error) {
	if validity <= 0 {
		return nil, fmt.Errorf("a validity of %v: it must be more than nothing", validity)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(validity),
	}, nil
}

// writePair writes a certificate and its key; neither if one of them is there
// already.
func writePair(certPath, keyPath string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(certPath); err == nil {
		return fmt.Errorf("%s is there already, and is not replaced: move it away first", certPath)
	}
	if err := writePEM(keyPath, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return err
	}
	return writePEM(certPath, "CERTIFICATE", der, 0o644)
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and is not replaced: move it away first", path)
	}
	if err != nil {
		return err
	}
	return errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Close())
}
