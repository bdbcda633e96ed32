package identity

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files are the paths of a certificate, its key and the CA that signs all of a
// cluster's certificates, each in PEM. All empty: no TLS. The certificate's file
// may hold intermediate ones after it, that of the CA several CAs, one of which
// must have signed.
type Files struct {
	Cert, Key, CA string
}

// Set says whether TLS is wanted: whether any of the files is named.
func (f Files) Set() bool { return f != Files{} }

// check says which files are not named.
func (f Files) check() error {
	var errs []error
	for _, c := range []struct{ path, flag string }{{f.Cert, "--tls-cert"}, {f.Key, "--tls-key"}, {f.CA, "--tls-ca"}} {
		if c.path == "" {
			errs = append(errs, fmt.Errorf("%s is missing: --tls-cert, --tls-key and --tls-ca go together", c.flag))
		}
	}
	return errors.Join(errs...)
}

// Keeper holds a certificate and the CA, and reads them again when their files
// have changed: before a handshake it looks at the files' times and sizes.
// Connections that stand are not affected. What it reads must fit together, or
// what it had before stays, and that is logged.
type Keeper struct {
	files Files

	mu     sync.Mutex
	log    *slog.Logger
	stamps stamps // of what was read last, broken or not
	now    *holding
	timer  *time.Timer // of the next look at its own time; nil before LogTo

	refusals refusals
}

// holding is what the files held at one time.
type holding struct {
	cert tls.Certificate
	cas  *x509.CertPool
	ca   string // the file, for messages
}

// stamps tell one content of the three files from the next; nil for a file that
// is not there.
type stamps [3]os.FileInfo

// same says whether the files are what they were: not only by time and size,
// which one that took the place of another may share with it.
func (s stamps) same(before stamps) bool {
	for i, now := range s {
		was := before[i]
		if (now == nil) != (was == nil) {
			return false
		}
		if now != nil && !(os.SameFile(now, was) && now.ModTime().Equal(was.ModTime()) && now.Size() == was.Size()) {
			return false
		}
	}
	return true
}

// Open reads the files, and says all that is wrong with them.
func Open(f Files) (*Keeper, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	k := &Keeper{files: f, log: slog.Default(), stamps: f.stamps()}
	var err error
	if k.now, err = f.read(); err != nil {
		return nil, err
	}
	return k, nil
}

// LogTo has the keeper say in log when it took up new files and why it did not,
// whom it refused, and, now and every hour, that its own certificate is over or
// soon will be; slog's default until then, and nothing of its own certificate.
func (k *Keeper) LogTo(log *slog.Logger) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = log
	k.judge(time.Now())
}

func (k *Keeper) logger() *slog.Logger {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.log
}

// Name is the name in the certificate.
func (k *Keeper) Name() string { return peerOf(k.current().cert.Leaf).Name }

// Require is nil when its own certificate has a role, and otherwise says that
// nobody would accept it in that.
func (k *Keeper) Require(role Role) error {
	if own := peerOf(k.current().cert.Leaf); !own.Has(role) {
		return fmt.Errorf("the certificate %s of %s has %s, and nobody accepts that as a %s's: give one with that role (millrace certs makes it)",
			k.files.Cert, own.Name, own.has(), role)
	}
	return nil
}

// current is what the files hold now, or held before they broke.
func (k *Keeper) current() *holding {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refresh() && k.timer != nil {
		k.judge(time.Now())
	}
	return k.now
}

// refresh reads the files again if they have changed, and says whether it took
// up something new. The caller holds mu.
func (k *Keeper) refresh() bool {
	stamps := k.files.stamps()
	if stamps.same(k.stamps) {
		return false
	}
	k.stamps = stamps
	fresh, err := k.files.read()
	if err != nil {
		k.log.Error("certificate not changed: the files do not fit together", "error", err)
		return false
	}
	k.now = fresh
	k.log.Info("certificate changed", "file", k.files.Cert, "name", fresh.cert.Leaf.Subject.CommonName, "expires", fresh.cert.Leaf.NotAfter)
	return true
}

func (f Files) stamps() (s stamps) {
	for i, path := range []string{f.Cert, f.Key, f.CA} {
		if info, err := os.Stat(path); err == nil {
			s[i] = info
		}
	}
	return s
}

// read reads the three files and sees whether they fit together.
func (f Files) read() (*holding, error) {
	cert, errCert := os.ReadFile(f.Cert)
	key, errKey := os.ReadFile(f.Key)
	ca, errCA := os.ReadFile(f.CA)
	if err := errors.Join(errCert, errKey, errCA); err != nil {
		return nil, err
	}
	cas, err := readCAs(f.CA, ca)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
	}
	h := &holding{cert: pair, cas: cas, ca: f.CA}
	if err := h.verify([]*x509.Certificate{pair.Leaf}, x509.ExtKeyUsageAny, parsed(pair.Certificate[1:])); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", f.Cert, err)
	}
	return h, nil
}

// readCAs reads the certificates of CAs.
func readCAs(path string, text []byte) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("CA file %s: %w", path, err)
		}
		if !c.IsCA {
			return nil, fmt.Errorf("CA file %s: the certificate of %q is not a CA's", path, c.Subject.CommonName)
		}
		pool.AddCert(c)
		found++
	}
	if found == 0 {
		return nil, fmt.Errorf("CA file %s: no certificate in it%s", path, keyHint(text))
	}
	return pool, nil
}

func keyHint(text []byte) string {
	if bytes.Contains(text, []byte("PRIVATE KEY")) {
		return ", but a private key: name ca.crt, and keep ca.key to yourself"
	}
	return ""
}

func parsed(ders [][]byte) (certs []*x509.Certificate) {
	for _, der := range ders {
		if c, err := x509.ParseCertificate(der); err == nil {
			certs = append(certs, c)
		}
	}
	return certs
}
