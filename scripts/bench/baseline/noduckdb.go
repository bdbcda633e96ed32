//go:build !cgo

package main

import "errors"

// query needs DuckDB, which needs cgo.
func query(string) error { return errors.New("built without cgo: no DuckDB") }
