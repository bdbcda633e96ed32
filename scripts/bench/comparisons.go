package main

import (
	"os/exec"
	"path/filepath"
)

// groupBy is the query of the SQL comparisons. Sums are of integers, so that
// the answer does not depend on the order of rows.
const groupBy = `SELECT key, count(*) AS n, sum(amount) AS total, min(price) AS low, max(price) AS high FROM `

const groupByEnd = ` GROUP BY key ORDER BY key`

var comparisons = []comparison{
	{
		name: "csv16", about: "SQL, group by 1,000 keys, 1 GB of CSV in 16 files, against DuckDB alone", target: 0.85,
		input:  func(b *bench) (string, error) { return b.csvFiles(16) },
		ours:   sqlOver("*.csv"),
		theirs: duckdbOver("read_csv", "*.csv"),
	},
	{
		name: "csv1", about: "the same, one file", target: 0.75,
		input:  func(b *bench) (string, error) { return b.csvFiles(1) },
		ours:   sqlOver("*.csv"),
		theirs: duckdbOver("read_csv", "*.csv"),
	},
	{
		name: "parquet", about: "the same, 16 Parquet files", target: 0.8,
		input:  func(b *bench) (string, error) { return b.parquetFiles() },
		ours:   sqlOver("*.parquet"),
		theirs: duckdbOver("read_parquet", "*.parquet"),
	},
	{
		name: "json", about: "SQL, 20,000 JSON-lines files of 2 KB, count by a field, against DuckDB alone", target: 0.8,
		input: func(b *bench) (string, error) { return b.jsonFiles() },
		ours: func(b *bench, input string) *exec.Cmd {
			return exec.Command(b.program("millrace"), "run", "--quiet", "--sql",
				"SELECT kind, count(*) AS n FROM input GROUP BY kind ORDER BY kind", filepath.Join(input, "*.jsonl"))
		},
		theirs: func(b *bench, input string) *exec.Cmd {
			return exec.Command(b.program("baseline"), "duckdb",
				"SELECT kind, count(*) AS n FROM read_json('"+filepath.Join(input, "*.jsonl")+"') GROUP BY kind ORDER BY kind")
		},
	},
	{
		name: "words", about: "a Go function with a combiner, 1 GB of text, 4 million distinct words, against goroutines by hand", target: 0.75,
		input: func(b *bench) (string, error) { return b.textFiles() },
		ours: func(b *bench, input string) *exec.Cmd {
			return exec.Command("sh", "-c", `"$0" run --quiet --function words --output-format lines "$1" | md5sum`,
				b.program("functions"), filepath.Join(input, "*.txt"))
		},
		theirs: func(b *bench, input string) *exec.Cmd {
			return exec.Command("sh", "-c", `"$0" words "$1" | md5sum`, b.program("baseline"), filepath.Join(input, "*.txt"))
		},
	},
	{
		name: "sha256", about: "a Go function that burns CPU, 2,000,000 lines, against goroutines by hand", target: 0.95,
		input: func(b *bench) (string, error) { return b.lineFiles() },
		ours: func(b *bench, input string) *exec.Cmd {
			return exec.Command("sh", "-c", `"$0" run --quiet --function sha "$1" | md5sum`,
				b.program("functions"), filepath.Join(input, "*.txt"))
		},
		theirs: func(b *bench, input string) *exec.Cmd {
			return exec.Command("sh", "-c", `"$0" sha "$1" | md5sum`, b.program("baseline"), filepath.Join(input, "*.txt"))
		},
	},
	{
		name: "wc", about: "a program a file, 200 files, against GNU parallel", target: 1, needs: "parallel",
		input: func(b *bench) (string, error) { return b.smallTexts() },
		ours: func(b *bench, input string) *exec.Cmd {
			return exec.Command(b.program("millrace"), "run", "--quiet", "--command", "wc -w", filepath.Join(input, "*.txt"))
		},
		theirs: func(b *bench, input string) *exec.Cmd {
			return exec.Command("sh", "-c", `parallel -k 'wc -w < {}' ::: "$0"/*.txt`, input)
		},
	},
	{
		name: "start", about: "a one-line job, whole process, against a bare program that asks DuckDB the same", target: 0.5,
		input: func(b *bench) (string, error) { return b.oneLine() },
		ours: func(b *bench, input string) *exec.Cmd {
			return exec.Command(b.program("millrace"), "run", "--quiet", "--sql", "SELECT sum(a) AS s FROM input", filepath.Join(input, "one.csv"))
		},
		theirs: func(b *bench, input string) *exec.Cmd {
			return exec.Command(b.program("baseline"), "duckdb", "SELECT sum(a) AS s FROM read_csv('"+filepath.Join(input, "one.csv")+"')")
		},
	},
}

func sqlOver(pattern string) func(b *bench, input string) *exec.Cmd {
	return func(b *bench, input string) *exec.Cmd {
		return exec.Command(b.program("millrace"), "run", "--quiet", "--sql", groupBy+"input"+groupByEnd, filepath.Join(input, pattern))
	}
}

func duckdbOver(reader, pattern string) func(b *bench, input string) *exec.Cmd {
	return func(b *bench, input string) *exec.Cmd {
		return exec.Command(b.program("baseline"), "duckdb",
			groupBy+reader+"('"+filepath.Join(input, pattern)+"')"+groupByEnd)
	}
}
