package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// forFiles calls do for every file of a glob, on all cores.
func forFiles(pattern string, do func(i int, path string) error) error {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	next := make(chan int)
	errs := make([]error, len(paths))
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				errs[i] = do(i, paths[i])
			}
		})
	}
	for i := range paths {
		next <- i
	}
	close(next)
	workers.Wait()
	return errors.Join(errs...)
}

func lines(path string, do func(line []byte)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 1<<20), 1<<20)
	for s.Scan() {
		do(s.Bytes())
	}
	return s.Err()
}

// words counts words in a map for each file, merges them, and prints them
// sorted.
func words(pattern string) error {
	var mu sync.Mutex
	total := map[string]*int64{}
	err := forFiles(pattern, func(_ int, path string) error {
		counts := map[string]*int64{}
		err := lines(path, func(line []byte) {
			for word := range bytes.FieldsSeq(line) {
				if n := counts[string(word)]; n != nil {
					*n++
					continue
				}
				n := int64(1)
				counts[string(word)] = &n
			}
		})
		mu.Lock()
		defer mu.Unlock()
		for word, n := range counts {
			if sum := total[word]; sum != nil {
				*sum += *n
			} else {
				total[word] = n
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return printCounts(total)
}

func printCounts(counts map[string]*int64) error {
	keys := make([]string, 0, len(counts))
	for word := range counts {
		keys = append(keys, word)
	}
	slices.SortFunc(keys, strings.Compare)
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	for _, word := range keys {
		w.WriteString(word)
		w.WriteByte('\t')
		w.WriteString(strconv.FormatInt(*counts[word], 10))
		w.WriteByte('\n')
	}
	return w.Flush()
}

// sha prints twenty rounds of SHA-256 over each line, in the order of files.
func sha(pattern string) error {
	paths, _ := filepath.Glob(pattern)
	outputs := make([]bytes.Buffer, len(paths))
	err := forFiles(pattern, func(i int, path string) error {
		var text [2*sha256.Size + 1]byte
		text[len(text)-1] = '\n'
		return lines(path, func(line []byte) {
			sum := sha256.Sum256(line)
			for range 19 {
				sum = sha256.Sum256(sum[:])
			}
			hex.Encode(text[:], sum[:])
			outputs[i].Write(text[:])
		})
	})
	for i := range outputs {
		if _, writeErr := outputs[i].WriteTo(os.Stdout); writeErr != nil {
			return writeErr
		}
	}
	return err
}
