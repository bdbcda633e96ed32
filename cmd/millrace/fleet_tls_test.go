//go:build unix

package main_test

import (
	"strings"
	"testing"
)

// secured is a cluster with certificates and a gossip key, with one worker.
func secured(t *testing.T) *cluster {
	t.Helper()
	w := parallel(t, nil)
	w.program = functions
	if got := w.run("certs", "pki"); got.status != 0 {
		t.Fatalf("certs: %+v", got)
	}
	c := w.newCluster(0, certificate("coordinator")...)
	c.startProgram(functions, "w1", append(certificate("worker"), "--data-root", c.dir)...)
	c.eventually("the worker is ready", func() bool {
		return strings.Contains(c.as("client", "workers", "--json").stdout, `"ready"`)
	})
	return c
}

// certificate are the flags of somebody in the cluster.
func certificate(role string) []string {
	return append(asClient(role), "--gossip-key-file", "pki/gossip.key")
}

func asClient(role string) []string {
	return []string{"--tls-ca", "pki/ca.crt", "--tls-cert", "pki/" + role + ".crt", "--tls-key", "pki/" + role + ".key"}
}

// as runs a client's command with somebody's certificate.
func (c *cluster) as(role, command string, args ...string) outcome {
	c.Helper()
	return c.run(append(append([]string{command}, asClient(role)...), args...)...)
}

// Certificates say who may do what.
func TestRolesByCertificate(t *testing.T) {
	c := secured(t)
	name := c.lines("line", 10)
	c.done(c.as("client", "submit", "-q", "--wait", "--function", "same", name), c.read(name))
	c.done(c.as("operator", "submit", "-q", "--wait", "--function", "same", name), c.read(name))
	for role, command := range map[string][]string{
		"worker":      {"submit", "--function", "same", name},
		"client":      {"drain", "w1"},
		"coordinator": {"submit", "--function", "same", name},
	} {
		if got := c.as(role, command[0], command[1:]...); got.status != 1 || !strings.Contains(got.stderr, role) {
			t.Errorf("a %s may %v: %+v", role, command, got)
		}
	}
	if got := c.run("list"); got.status != 1 {
		t.Errorf("without a certificate: %+v", got)
	}
	posing := c.startProgram(functions, "posing", append(certificate("client"), "--data-root", c.dir)...)
	c.exits(posing, 1, "worker")
	c.done(outcome{status: c.as("operator", "drain", "w1").status}, "")
	c.exits(c.members["w1"], 0)
}

// Results come by Flight from a worker with TLS, and through the coordinator
// alike.
func TestSecuredResults(t *testing.T) {
	c := secured(t)
	c.startProgram(functions, "w2", append(certificate("worker"), "--data-root", c.dir)...)
	name := c.lines("line", 60000)
	got := c.as("client", "submit", "--function", "same", "--batches", "20", name)
	id := strings.TrimSpace(got.stdout)
	c.done(c.as("client", "result", id), c.read(name))
	c.done(c.as("operator", "result", id), c.read(name))
}

// Another authority's certificates are worth nothing here.
func TestStrangersCertificates(t *testing.T) {
	c := secured(t)
	if got := c.run("certs", "other"); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	c.write("both.crt", c.read("pki/ca.crt")+c.read("other/ca.crt"))
	got := c.run("list", "--tls-ca", "both.crt", "--tls-cert", "other/client.crt", "--tls-key", "other/client.key")
	if got.status != 1 || !strings.Contains(got.stderr, "certificate") {
		t.Errorf("a stranger lists jobs: %+v", got)
	}
	got = c.run("list", "--tls-ca", "other/ca.crt", "--tls-cert", "other/client.crt", "--tls-key", "other/client.key")
	if got.status != 1 || !strings.Contains(got.stderr, "certificate") {
		t.Errorf("a client trusts a stranger: %+v", got)
	}
}
