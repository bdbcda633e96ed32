//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	bindings "github.com/duckdb/duckdb-go-bindings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// DB is an instance of DuckDB in memory, with one connection. It runs one query
// at a time.
type DB struct {
	db   bindings.Database
	conn bindings.Connection
	// threads that it was given; 0 before it is locked
	threads int

	lock     sync.Mutex // held while a query runs
	streams  streams
	prepared map[string]bindings.PreparedStatement // by query; never nil
}

// maxPrepared is how many prepared queries an instance keeps.
const maxPrepared = 8

// Open starts an instance with one thread, which doesn't spill. It may read
// files until Lock is called; nothing is ever installed or loaded from
// elsewhere.
func Open() (*DB, error) {
	returnMemory()
	d := &DB{prepared: map[string]bindings.PreparedStatement{}}
	config, err := newConfig()
	if err != nil {
		return nil, err
	}
	defer bindings.DestroyConfig(&config)
	var message string
	if bindings.OpenExt(":memory:", &d.db, config, &message) == bindings.StateError {
		return nil, &Error{Kind: KindInternal, Message: message}
	}
	if bindings.Connect(d.db, &d.conn) == bindings.StateError {
		bindings.Close(&d.db)
		return nil, &Error{Kind: KindInternal, Message: "DuckDB refused a connection"}
	}
	return d, nil
}

// settings are those that every instance starts with.
var settings = map[string]string{
	"threads":                      "1",
	"temp_directory":               "",
	"autoinstall_known_extensions": "false",
	"autoload_known_extensions":    "false",
	"allow_community_extensions":   "false",
	"allow_persistent_secrets":     "false",
	"enable_external_file_cache":   "false",
}

// newConfig is the configuration that an instance starts with.
func newConfig() (bindings.Config, error) {
	var config bindings.Config
	if bindings.CreateConfig(&config) == bindings.StateError {
		return config, errors.New("DuckDB gave no configuration")
	}
	for name, value := range settings {
		if bindings.SetConfig(config, name, value) == bindings.StateError {
			bindings.DestroyConfig(&config)
			return config, fmt.Errorf("DuckDB does not take %s = %s", name, value)
		}
	}
	return config, nil
}

// bytesSetting is a number of bytes as DuckDB's settings take it.
func bytesSetting(n int64) string { return strconv.FormatInt(n, 10) + "B" }

// Lock gives an instance what the options say, and shuts it in for good: from
// now on it reads the allowed paths and nothing else, and no setting can be
// changed.
func (d *DB) Lock(ctx context.Context, o Options) error {
	d.threads = max(o.Threads, 1)
	paths := make([]string, len(o.AllowedPaths))
	for i, path := range o.AllowedPaths {
		paths[i] = QuoteString(path)
	}
	statements := fmt.Sprintf("SET threads = %d; SET temp_directory = %s; SET allowed_paths = [%s]; ",
		d.threads, QuoteString(o.TempDir), strings.Join(paths, ", "))
	if o.MemoryBytes > 0 {
		statements += fmt.Sprintf("SET memory_limit = '%s'; ", bytesSetting(o.MemoryBytes))
	}
	if o.MaxTempBytes > 0 {
		statements += fmt.Sprintf("SET max_temp_directory_size = '%s'; ", bytesSetting(o.MaxTempBytes))
	}
	return d.Exec(ctx, statements+"SET enable_external_access = false; SET lock_configuration = true")
}

// Close ends the instance and frees all that it has. No query may be running.
func (d *DB) Close() error {
	d.lock.Lock()
	defer d.lock.Unlock()
	for _, statement := range d.prepared {
		bindings.DestroyPrepare(&statement)
	}
	clear(d.prepared)
	bindings.Disconnect(&d.conn)
	bindings.Close(&d.db)
	d.streams.free()
	return nil
}

// Exec runs statements of our own, one or several, for their effect.
func (d *DB) Exec(ctx context.Context, statements string) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	defer d.interruptOn(ctx)()
	var result bindings.Result
	state := bindings.Query(d.conn, statements, &result)
	defer bindings.DestroyResult(&result)
	if state == bindings.StateError {
		return orCancelled(ctx, resultError(&result))
	}
	return nil
}

// Rows answers a small query with all its rows as text, for planning. The
// arguments are bound as VARCHAR parameters. A NULL is the empty string, and
// what is not VARCHAR is given as Arrow would print it: cast it in the query
// where its spelling matters.
func (d *DB) Rows(ctx context.Context, query string, args ...string) ([][]string, error) {
	result, err := d.query(ctx, query, args)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	var rows [][]string
	for batch, err := range result.Records() {
		if err != nil {
			return nil, err
		}
		rows = appendRows(rows, batch)
	}
	return rows, nil
}

// Describe tells the columns that a single statement answers with, without
// running it. Anything but a SELECT is refused.
func (d *DB) Describe(ctx context.Context, query string) ([]*pb.Column, error) {
	d.lock.Lock()
	kind, err := d.statementKind(query)
	d.lock.Unlock()
	if err != nil {
		return nil, err
	}
	if kind != bindings.StatementTypeSelect {
		return nil, &Error{Kind: KindQuery, Message: "only a SELECT can be run here"}
	}
	rows, err := d.Rows(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+trimStatement(query)+"\n)")
	if err != nil {
		return nil, err
	}
	columns := make([]*pb.Column, len(rows))
	for i, row := range rows {
		columns[i] = &pb.Column{Name: row[0], Type: row[1]}
	}
	return columns, nil
}

// statementKind prepares query, which shows every fault that it has over the
// tables that there are now.
func (d *DB) statementKind(query string) (bindings.StatementType, error) {
	var statement bindings.PreparedStatement
	state := bindings.Prepare(d.conn, query, &statement)
	defer bindings.DestroyPrepare(&statement)
	if state == bindings.StateError {
		return 0, prepareError(statement)
	}
	return bindings.PreparedStatementType(statement), nil
}

// trimStatement is a statement without the semicolon that ends it.
func trimStatement(query string) string {
	return strings.TrimRight(query, "; \t\r\n")
}
