package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/maphash"
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

// shards is how many maps the words of one core lie in.
const shards = 16

// counts has the words of one goroutine: a map finds a word's place in ns, so
// that counting a known word allocates nothing.
type counts struct {
	places map[string]int
	words  []string
	ns     []int64
}

func (c *counts) add(word []byte, n int64) {
	place, ok := c.places[string(word)]
	if !ok {
		place = len(c.ns)
		text := string(word)
		c.places[text] = place
		c.words, c.ns = append(c.words, text), append(c.ns, 0)
	}
	c.ns[place] += n
}

// words counts words in a few maps for each core, by hash, merges those of a
// hash on one core, and prints all of them sorted.
func words(pattern string) error {
	var seed = maphash.MakeSeed()
	idle := make(chan *[shards]counts, runtime.GOMAXPROCS(0))
	for range cap(idle) {
		var all [shards]counts
		for i := range all {
			all[i].places = map[string]int{}
		}
		idle <- &all
	}
	err := forFiles(pattern, func(_ int, path string) error {
		mine := <-idle
		defer func() { idle <- mine }()
		return lines(path, func(line []byte) {
			for word := range bytes.FieldsSeq(line) {
				mine[maphash.Bytes(seed, word)%shards].add(word, 1)
			}
		})
	})
	if err != nil {
		return err
	}
	close(idle)
	var each []*[shards]counts
	for all := range idle {
		each = append(each, all)
	}
	return printCounts(mergeShards(each))
}

// mergeShards adds up the counts of all goroutines and sorts each shard.
func mergeShards(each []*[shards]counts) [][]entry {
	var group sync.WaitGroup
	sorted := make([][]entry, shards)
	limit := make(chan bool, runtime.GOMAXPROCS(0))
	for shard := range sorted {
		limit <- true
		group.Go(func() {
			defer func() { <-limit }()
			total := &each[0][shard]
			for _, other := range each[1:] {
				for place, word := range other[shard].words {
					total.add([]byte(word), other[shard].ns[place])
				}
				other[shard] = counts{}
			}
			for place, word := range total.words {
				sorted[shard] = append(sorted[shard], entry{word, total.ns[place]})
			}
			total.places = nil
			slices.SortFunc(sorted[shard], func(a, b entry) int { return strings.Compare(a.word, b.word) })
		})
	}
	group.Wait()
	return sorted
}

type entry struct {
	word string
	n    int64
}

// printCounts merges sorted shards on their way out.
func printCounts(shards [][]entry) error {
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		least := -1
		for i, shard := range shards {
			if len(shard) > 0 && (least < 0 || shard[0].word < shards[least][0].word) {
				least = i
			}
		}
		if least < 0 {
			return w.Flush()
		}
		first := shards[least][0]
		shards[least] = shards[least][1:]
		w.WriteString(first.word)
		w.WriteByte('\t')
		w.Write(strconv.AppendInt(w.AvailableBuffer(), first.n, 10))
		w.WriteByte('\n')
	}
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
