//go:build cgo

package duckdb

import (
	"fmt"
	"testing"
	"time"
)

func TestRows(t *testing.T) {
	start := time.Now()
	db, err := Open(Options{Threads: 1})
	fmt.Println("open", time.Since(start))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Lock(); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Rows(t.Context(), "SELECT ?, 1, NULL, 'x', [1,2] FROM range(3)", "a'b")
	fmt.Println(rows, err, time.Since(start))
	_, err = db.Rows(t.Context(), "SELECT\n a FRM b")
	fmt.Printf("%+v %v\n", err, time.Since(start))
	_, err = db.Rows(t.Context(), "SELECT\n  a FROM b")
	fmt.Printf("%#v %v\n", err, time.Since(start))
	_, err = db.Rows(t.Context(), "SELECT 1; SELECT 2")
	fmt.Printf("%#v %v\n", err, time.Since(start))
	c, err := db.Describe(t.Context(), "SELECT 1 a, 'b' b;")
	fmt.Printf("%v %v %v\n", c, err, time.Since(start))
}
