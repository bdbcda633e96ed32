//go:build unix

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Awkward CSV files of others hold the records that their twins in JSON say.
func TestCSVSpectrum(t *testing.T) {
	needSQL(t)
	folder := sharedData(t, "csv-spectrum")
	files, err := filepath.Glob(filepath.Join(folder, "csvs", "*.csv"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".csv")
		t.Run(name, func(t *testing.T) {
			w := parallel(t, nil)
			got := w.run("run", "-q", "--sql", "SELECT * FROM input", "--output-format", "json", file)
			if got.status != 0 {
				t.Fatal(got.stderr)
			}
			have, want := plain(objects(t, got.stdout)), plain(twin(t, file, filepath.Join(folder, "json", name+".json")))
			if !reflect.DeepEqual(have, want) {
				t.Errorf("got  %q\nwant %q", have, want)
			}
		})
	}
}

// twin is the records that a CSV file should hold: a list, or the only one. Some
// copies of the files came without their carriage returns.
func twin(t *testing.T, file, path string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	csv, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(csv, []byte("\r")) {
		text = bytes.ReplaceAll(text, []byte(`\r\n`), []byte(`\n`))
	}
	// This one tells another telephone number than its file holds.
	text = bytes.ReplaceAll(text, []byte(`"Contact Phone Number": "1234567890"`), []byte(`"Contact Phone Number": "2095257564"`))
	if text = bytes.TrimSpace(text); text[0] == '{' {
		text = append(append([]byte("["), text...), ']')
	}
	var records []map[string]any
	if err := json.Unmarshal(text, &records); err != nil {
		t.Fatal(err)
	}
	return records
}

// objects reads JSON lines.
func objects(t *testing.T, text string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		d.UseNumber()
		var one map[string]any
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// plain makes text of values: the twins know no other type, and an empty field
// is no value.
func plain(records []map[string]any) []map[string]string {
	all := make([]map[string]string, len(records))
	for i, record := range records {
		all[i] = map[string]string{}
		for k, v := range record {
			if v != nil {
				all[i][k] = fmt.Sprint(v)
			} else {
				all[i][k] = ""
			}
		}
	}
	return all
}
