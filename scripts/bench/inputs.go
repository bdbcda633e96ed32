package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

const (
	csvRows    = 24_000_000
	textBytes  = 1 << 30
	sha256Rows = 2_000_000
)

// once makes an input folder, if it is not there from an earlier run: it is
// made aside and renamed, so that half an input is never taken for a whole one.
func (b *bench) once(name string, fill func(folder string) error) (string, error) {
	folder := filepath.Join(b.folder, name)
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		return folder, err
	}
	aside, err := os.MkdirTemp(b.folder, name+"-")
	if err != nil {
		return "", err
	}
	if err := fill(aside); err != nil {
		return "", errors.Join(err, os.RemoveAll(aside))
	}
	return folder, os.Rename(aside, folder)
}

func writeFile(path string, fill func(w *bufio.Writer)) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fill(w)
	return errors.Join(w.Flush(), f.Close())
}

func (b *bench) csvFiles(n int) (string, error) {
	return b.once(fmt.Sprintf("csv%d", n), func(folder string) error {
		r := rand.New(rand.NewPCG(1, 1))
		for i := range n {
			err := writeFile(filepath.Join(folder, fmt.Sprintf("part%02d.csv", i)), func(w *bufio.Writer) {
				w.WriteString("key,amount,price,day,note\n")
				for range csvRows / n {
					fmt.Fprintf(w, "k%03d,%d,%d.%02d,2026-%02d-%02d,note %x\n", r.IntN(1000), r.IntN(100_000),
						r.IntN(500), r.IntN(100), 1+r.IntN(12), 1+r.IntN(28), r.Uint32())
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) parquetFiles() (string, error) {
	csv, err := b.csvFiles(16)
	if err != nil {
		return "", err
	}
	return b.once("parquet16", func(folder string) error {
		for i := range 16 {
			from := filepath.Join(csv, fmt.Sprintf("part%02d.csv", i))
			to := filepath.Join(folder, fmt.Sprintf("part%02d.parquet", i))
			if out, err := exec.Command(b.program("baseline"), "duckdb",
				fmt.Sprintf("COPY (SELECT * FROM read_csv('%s')) TO '%s'", from, to)).CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
		}
		return nil
	})
}

func (b *bench) jsonFiles() (string, error) {
	return b.once("json", func(folder string) error {
		r := rand.New(rand.NewPCG(2, 2))
		kinds := []string{"view", "click", "order", "return", "search"}
		for i := range 20_000 {
			err := writeFile(filepath.Join(folder, fmt.Sprintf("%05d.jsonl", i)), func(w *bufio.Writer) {
				for n := 0; n < 2000; {
					k, _ := fmt.Fprintf(w, `{"id":%d,"kind":%q,"user":"u%d","value":%d.%02d}`+"\n",
						r.Uint32(), kinds[r.IntN(len(kinds))], r.IntN(10_000), r.IntN(1000), r.IntN(100))
					n += k
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// textFiles has words as languages do: a few are frequent, most are rare.
func (b *bench) textFiles() (string, error) {
	return b.once("text", func(folder string) error {
		r := rand.New(rand.NewPCG(3, 3))
		frequent := rand.NewZipf(r, 1.1, 4, 50_000)
		for i := range 16 {
			err := writeFile(filepath.Join(folder, fmt.Sprintf("%02d.txt", i)), func(w *bufio.Writer) {
				for n := 0; n < textBytes/16; {
					for range 10 {
						word := frequent.Uint64()
						if r.IntN(6) == 0 {
							word = 50_001 + r.Uint64N(4_200_000)
						}
						k, _ := w.WriteString("w" + strconv.FormatUint(word*2654435761%(1<<32), 36))
						w.WriteByte(' ')
						n += k + 1
					}
					w.WriteByte('\n')
					n++
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) lineFiles() (string, error) {
	return b.once("lines", func(folder string) error {
		r := rand.New(rand.NewPCG(4, 4))
		for i := range 8 {
			err := writeFile(filepath.Join(folder, fmt.Sprintf("%02d.txt", i)), func(w *bufio.Writer) {
				for range sha256Rows / 8 {
					fmt.Fprintf(w, "%016x%016x%016x\n", r.Uint64(), r.Uint64(), r.Uint64())
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) smallTexts() (string, error) {
	return b.once("texts", func(folder string) error {
		r := rand.New(rand.NewPCG(5, 5))
		for i := range 200 {
			err := writeFile(filepath.Join(folder, fmt.Sprintf("%03d.txt", i)), func(w *bufio.Writer) {
				for range 100_000 {
					fmt.Fprintf(w, "%d ", r.IntN(10_000))
				}
				w.WriteByte('\n')
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) oneLine() (string, error) {
	return b.once("one", func(folder string) error {
		return os.WriteFile(filepath.Join(folder, "one.csv"), []byte("a,b\n1,2\n"), 0o644)
	})
}
