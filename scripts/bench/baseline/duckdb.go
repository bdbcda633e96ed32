//go:build cgo

package main

import (
	"errors"
	"strings"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// query asks a plain DuckDB, with all its defaults, which prints the answer as
// CSV.
func query(sql string) error {
	if !strings.HasPrefix(sql, "COPY ") {
		sql = "COPY (" + sql + ") TO '/dev/stdout' (FORMAT csv, HEADER)"
	}
	var db duckdb.Database
	if duckdb.Open(":memory:", &db) == duckdb.StateError {
		return errors.New("DuckDB does not open")
	}
	defer duckdb.Close(&db)
	var conn duckdb.Connection
	if duckdb.Connect(db, &conn) == duckdb.StateError {
		return errors.New("DuckDB does not connect")
	}
	defer duckdb.Disconnect(&conn)
	var result duckdb.Result
	defer duckdb.DestroyResult(&result)
	if duckdb.Query(conn, sql, &result) == duckdb.StateError {
		return errors.New(duckdb.ResultError(&result))
	}
	return nil
}
