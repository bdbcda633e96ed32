//go:build unix

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

const deploy = "../../deploy"

// needTool skips a test, with how to get what it lacks.
func needTool(t *testing.T, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED: no %s here to check with; it is in %s", name, from)
	}
	return path
}

// The units are what systemd understands, all of it.
func TestSystemdUnits(t *testing.T) {
	t.Parallel()
	analyze := needTool(t, "systemd-analyze", "Debian's systemd")
	dir := t.TempDir()
	units, _ := filepath.Glob(deploy + "/systemd/*.service")
	if len(units) != 2 {
		t.Fatalf("units: %v", units)
	}
	var copies []string
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("/usr/local/bin/millrace"), []byte("/bin/true")) // it must be there
		copies = append(copies, filepath.Join(dir, filepath.Base(unit)))
		if err := os.WriteFile(copies[len(copies)-1], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, copies...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// A worker has longer to leave than its drain takes, everywhere.
func TestStoppingOutlastsTheDrain(t *testing.T) {
	t.Parallel()
	worker := deployed(t, "systemd/millrace-worker@.service")
	if !strings.Contains(worker, "KillSignal=SIGTERM") || !strings.Contains(worker, "TimeoutStopSec=45") {
		t.Error("the worker's unit does not leave 45 s to a drain of 30 s")
	}
	for _, object := range manifests(t) {
		if object["kind"] != "Deployment" {
			continue
		}
		pod := at(object, "spec", "template", "spec").(map[string]any)
		drain, err := time.ParseDuration(environment(pod)["MILLRACE_DRAIN_WITHIN"])
		if grace := time.Duration(pod["terminationGracePeriodSeconds"].(uint64)) * time.Second; err != nil || grace <= drain {
			t.Errorf("a pod is killed after %v, and drains for %v: %v", grace, drain, err)
		}
	}
}

func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// manifests are all objects for Kubernetes.
func manifests(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	files, _ := filepath.Glob(deploy + "/kubernetes/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var object map[string]any
			if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, object)
		}
	}
	if len(all) < 8 {
		t.Fatalf("only %d objects in %v", len(all), files)
	}
	return all
}

// at walks down an object.
func at(object any, path ...string) any {
	for _, name := range path {
		fields, _ := object.(map[string]any)
		object = fields[name]
	}
	return object
}

// environment is what a pod's only container has in it.
func environment(pod map[string]any) map[string]string {
	all := map[string]string{}
	for _, container := range pod["containers"].([]any) {
		for _, variable := range at(container, "env").([]any) {
			fields := variable.(map[string]any)
			value, _ := fields["value"].(string)
			all[fields["name"].(string)] = value
		}
	}
	return all
}

// The manifests follow the schemas of Kubernetes, without a field more.
func TestManifestsFollowTheirSchemas(t *testing.T) {
	t.Parallel()
	validate := needTool(t, "kubernetes-validate", "PyPI: pip install kubernetes-validate")
	files, _ := filepath.Glob(deploy + "/kubernetes/*.yaml")
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue // is for kubectl
		}
		if out, err := exec.Command(validate, "--strict", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// What the pods refer to is there: secrets, volumes, ports, each other.
func TestManifestsFitTogether(t *testing.T) {
	t.Parallel()
	var pods []map[string]any
	has := map[string]bool{} // kind/name
	for _, object := range manifests(t) {
		name, _ := at(object, "metadata", "name").(string)
		has[object["kind"].(string)+"/"+name] = true
		if at(object, "spec", "template") != nil {
			pods = append(pods, at(object, "spec", "template").(map[string]any))
		}
	}
	if len(pods) != 2 {
		t.Fatalf("%d kinds of pods", len(pods))
	}
	for _, pod := range pods {
		spec := pod["spec"].(map[string]any)
		for _, volume := range spec["volumes"].([]any) {
			if name, ok := at(volume, "secret", "secretName").(string); ok && !has["Secret/"+name] {
				t.Errorf("no example of the secret %s", name)
			}
			if name, ok := at(volume, "persistentVolumeClaim", "claimName").(string); ok && !has["PersistentVolumeClaim/"+name] {
				t.Errorf("no example of the claim %s", name)
			}
		}
		if join := environment(spec)["MILLRACE_JOIN"]; join != "" {
			if service, _, _ := strings.Cut(join, "."); !has["Service/"+service] {
				t.Errorf("workers join %s, which there is none of", join)
			}
		}
	}
	for _, object := range manifests(t) {
		if object["kind"] == "Service" {
			servesAPod(t, object, pods)
		}
	}
}

// servesAPod checks that a service has a pod behind each of its ports.
func servesAPod(t *testing.T, service map[string]any, pods []map[string]any) {
	t.Helper()
	selector := at(service, "spec", "selector").(map[string]any)
	for _, port := range at(service, "spec", "ports").([]any) {
		found := slices.ContainsFunc(pods, func(pod map[string]any) bool {
			labels := at(pod, "metadata", "labels").(map[string]any)
			for key, value := range selector {
				if labels[key] != value {
					return false
				}
			}
			ports := at(at(pod, "spec", "containers").([]any)[0], "ports").([]any)
			return slices.ContainsFunc(ports, func(p any) bool { return at(p, "name") == at(port, "targetPort") })
		})
		if !found {
			t.Errorf("service %v: no pod serves port %v", at(service, "metadata", "name"), at(port, "targetPort"))
		}
	}
}

// Every variable and flag in deploy/ is a setting that there is.
func TestDeployedSettingsAreThere(t *testing.T) {
	w := parallel(t, nil)
	known := map[string]bool{"MILLRACE_SERVER": true}
	for _, command := range []string{"coordinator", "worker"} {
		var settings []struct{ Name string }
		got := w.run("config", command, "--json")
		if err := json.Unmarshal([]byte(got.stdout), &settings); err != nil || len(settings) == 0 {
			t.Fatalf("%v: %+v", err, got)
		}
		for _, s := range settings {
			known["MILLRACE_"+strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))] = true
		}
	}
	variable := regexp.MustCompile(`\bMILLRACE_[A-Z_]+\b`)
	err := filepath.WalkDir(deploy, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, name := range variable.FindAllString(string(text), -1) {
			if !known[name] {
				t.Errorf("%s: %s is no setting", path, name)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// The Slurm script runs a job on a Slurm of two nodes, and leaves nothing behind.
func TestSlurmScript(t *testing.T) {
	if testing.Short() || !hasSQL {
		t.Skip("SKIPPED: takes a while, and SQL")
	}
	needTool(t, "sbatch", "Debian's slurm-wlm and munge")
	w := parallel(t, nil)
	cmd := exec.Command("../../scripts/slurm-try", millrace)
	cmd.Env = append(os.Environ(), "TMPDIR="+w.temp)
	w.done(w.finish(cmd), "k,v\na,11\nb,22\n")
}
