package identity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFilesOfACA(t *testing.T) {
	dir := authority(t)
	f := issue(t, dir, "w 1", Worker, Client)
	for path, mode := range map[string]os.FileMode{f.Key: 0o600, filepath.Join(dir, caKey): 0o600, f.Cert: 0o644, f.CA: 0o644} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got&^mode != 0 {
			t.Errorf("%s has mode %v", path, got)
		}
	}
	if k := open(t, f); k.Name() != "w 1" {
		t.Errorf("the name is %s", k.Name())
	}
	wantError(t, MakeCA(dir, year), "ca.crt is there already")
	_, err := Issue(dir, "w 1", []Role{Worker}, nil, year)
	wantError(t, err, "w 1.crt is there already")
	if err := os.Remove(f.Cert); err != nil {
		t.Fatal(err)
	}
	_, err = Issue(dir, "w 1", []Role{Worker}, nil, year)
	wantError(t, err, "w 1.key is there already")
}

func TestBadRequestsAreRefused(t *testing.T) {
	dir := authority(t)
	for name, c := range map[string]struct {
		roles    []Role
		validity time.Duration
		says     string
	}{
		"":                      {[]Role{Worker}, year, "the name"},
		"../w":                  {[]Role{Worker}, year, "be no path"},
		"ca":                    {[]Role{Worker}, year, "not be ca"},
		strings.Repeat("n", 64): {[]Role{Worker}, year, "63 bytes"},
		"none":                  {nil, year, "no role"},
		"cook":                  {[]Role{"cook"}, year, `the role "cook"`},
		"never":                 {[]Role{Worker}, 0, "more than nothing"},
		"older than its CA":     {[]Role{Worker}, 3 * year, "outlive the CA"},
	} {
		_, err := Issue(dir, name, c.roles, nil, c.validity)
		wantError(t, err, c.says)
	}
	_, err := Issue(t.TempDir(), "w", []Role{Worker}, nil, year)
	wantError(t, err, "the CA in")
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir, other := authority(t), authority(t)
	f, stranger := issue(t, dir, "w", Worker), issue(t, other, "s", Worker)
	for want, files := range map[string]Files{
		"--tls-key is missing":       {Cert: f.Cert, CA: f.CA},
		"--tls-ca is missing":        {Cert: f.Cert, Key: f.Key},
		"no such file":               {Cert: f.Cert, Key: "/nowhere", CA: f.CA},
		"does not match":             {Cert: f.Cert, Key: stranger.Key, CA: f.CA},
		"was signed by":              {Cert: stranger.Cert, Key: stranger.Key, CA: f.CA},
		"not a CA's":                 {Cert: f.Cert, Key: f.Key, CA: f.Cert},
		"keep ca.key to yourself":    {Cert: f.Cert, Key: f.Key, CA: filepath.Join(dir, caKey)},
		"failed to find certificate": {Cert: f.Key, Key: f.Key, CA: f.CA},
	} {
		_, err := Open(files)
		wantError(t, err, want)
	}
}

// A CA and its certificates can be made for the same time, one after the other.
func TestCertificatesEndWithTheirCA(t *testing.T) {
	dir := authority(t)
	f, err := Issue(dir, "w", []Role{Worker}, nil, 2*year)
	if err != nil {
		t.Fatal(err)
	}
	open(t, f)
}

func TestHostsAreForOthers(t *testing.T) {
	dir := authority(t)
	f, err := Issue(dir, "c", []Role{Coordinator}, []string{"mill.example", "10.0.0.1", "::1"}, year)
	if err != nil {
		t.Fatal(err)
	}
	leaf := open(t, f).now.cert.Leaf
	if len(leaf.DNSNames) != 1 || len(leaf.IPAddresses) != 2 {
		t.Errorf("names %v, addresses %v", leaf.DNSNames, leaf.IPAddresses)
	}
}

func TestExposure(t *testing.T) {
	for _, c := range []struct {
		listen             string
		tls, key, insecure bool
		says               []string
	}{
		{"127.0.0.1:7", false, false, false, nil},
		{"localhost:7", false, false, false, nil},
		{"[::1]:7", false, false, false, nil},
		{"[::ffff:127.0.0.1]:7", false, false, false, nil},
		{"0.0.0.0:7", true, true, false, nil},
		{"0.0.0.0:7", false, false, true, nil},
		{":7", false, false, false, []string{"submit jobs", "join the fleet's gossip", "--tls-cert", "--gossip-key-file", "--insecure"}},
		{"10.0.0.1:7", true, false, false, []string{"join the fleet's gossip", "--gossip-key-file"}},
		{"mill.example:7", false, true, false, []string{"submit jobs", "--tls-cert"}},
		{"7", false, false, true, []string{"not HOST:PORT"}},
	} {
		err := CheckExposure(Coordinator, c.tls, c.key, c.insecure, c.listen)
		if open := Exposure(Coordinator, c.tls, c.key, c.listen); err != nil && c.listen != "7" && !strings.HasPrefix(err.Error(), open+": ") ||
			err == nil && (open != "") != c.insecure {
			t.Errorf("on %s there is open: %q", c.listen, open)
		}
		if c.says == nil && err != nil {
			t.Errorf("%s is refused: %v", c.listen, err)
		}
		if c.says != nil {
			wantError(t, err, c.says...)
		}
	}
}
