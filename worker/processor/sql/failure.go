package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/duckdb"
	"github.com/millrace/millrace/worker/processor"
)

// failure gives an error its class.
func (r *run) failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*processor.Failure](err); ok {
		return err
	}
	if _, ok := errors.AsType[writeError](err); ok {
		return errors.Unwrap(err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, duckdb.ErrTooMuchText) {
		return processor.Fatal("%v: make Parquet of the input first, or give the spool more room", err)
	}
	kind, ok := duckdb.KindOf(err)
	if !ok {
		return err
	}
	message := strings.TrimSpace(err.Error())
	switch kind {
	case duckdb.KindMemory:
		return processor.Fail(pb.OutcomeClass_OUTCOME_CLASS_KILLED_MEMORY, "the query needs more memory than it may use: %s", message)
	case duckdb.KindQuery, duckdb.KindData, duckdb.KindPermission:
		return processor.Fatal("%s", message)
	case duckdb.KindIO:
		if strings.Contains(message, syscall.ENOSPC.Error()) || strings.Contains(message, "No space left") {
			return fmt.Errorf("%w (%s)", syscall.ENOSPC, message)
		}
	case duckdb.KindInterrupt, duckdb.KindInternal:
	}
	return err
}
