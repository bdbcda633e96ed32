package api

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	pb "github.com/millrace/millrace/api/millracev1"
)

// Code says what the caller can do next about an error.
type Code int

// The codes of errors.
const (
	// Internal is a bug or a broken disk: report it.
	Internal Code = iota
	// Invalid is a request that must be fixed.
	Invalid
	// NotFound is a job that is unknown, or was forgotten since.
	NotFound
	// Conflict is a request that the job's state does not allow, such as to
	// read a result twice: look at the job before asking again.
	Conflict
	// Stale is work that somebody else was given meanwhile: drop it.
	Stale
	// Full is a limit that is reached for now: try again after a pause.
	Full
	// NotLeader is a question to the wrong coordinator: ask the one named in
	// Leader.
	NotLeader
	// Unavailable is a coordinator that can't be reached: try again.
	Unavailable
	// Failed is a job that failed: Failure says why.
	Failed
	// Cancelled is a job, or a call, that somebody ended.
	Cancelled
	// Timeout is a call whose own time ran out.
	Timeout
	// Forbidden is a request that the caller's certificate does not permit: use
	// one with the role that the message names.
	Forbidden
)

// codeInfos holds, for each code, its name on the wire and the status code that
// programs without this package see.
var codeInfos = [...]struct {
	name string
	grpc codes.Code
}{
	Internal:    {"INTERNAL", codes.Internal},
	Invalid:     {"INVALID", codes.InvalidArgument},
	NotFound:    {"NOT_FOUND", codes.NotFound},
	Conflict:    {"CONFLICT", codes.FailedPrecondition},
	Stale:       {"STALE", codes.Aborted},
	Full:        {"FULL", codes.ResourceExhausted},
	NotLeader:   {"NOT_LEADER", codes.FailedPrecondition},
	Unavailable: {"UNAVAILABLE", codes.Unavailable},
	Failed:      {"FAILED", codes.Aborted},
	Cancelled:   {"CANCELLED", codes.Canceled},
	Timeout:     {"TIMEOUT", codes.DeadlineExceeded},
	Forbidden:   {"FORBIDDEN", codes.PermissionDenied},
}

// String is the code's name, as on the wire.
func (c Code) String() string {
	if c < 0 || int(c) >= len(codeInfos) {
		return fmt.Sprintf("Code(%d)", int(c))
	}
	return codeInfos[c].name
}

// Error is the only error that crosses a process. It survives the way through
// gRPC as it is: Code, Message, Leader and Failure.
type Error struct {
	// Code says what to do next.
	Code Code
	// Message says what went wrong, where, and what to do, in a sentence.
	Message string
	// Leader is the address to ask in place of this one, with NotLeader.
	Leader string
	// Failure is what went wrong in a job, with Failed.
	Failure *pb.Failure
}

// Errorf makes an error with a code and a message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// errorDomain marks our details among those that others may attach.
const errorDomain = "millrace"

// GRPCStatus is the error as gRPC carries it; a service that returns an *Error
// sends this.
func (e *Error) GRPCStatus() *status.Status {
	info := &errdetails.ErrorInfo{Reason: e.Code.String(), Domain: errorDomain}
	if e.Leader != "" {
		info.Metadata = map[string]string{"leader": e.Leader}
	}
	details := []protoadapt.MessageV1{protoadapt.MessageV1Of(info)}
	if e.Failure != nil {
		details = append(details, protoadapt.MessageV1Of(e.Failure))
	}
	plain := status.New(e.Code.grpcCode(), e.Message)
	full, err := plain.WithDetails(details...)
	if err != nil {
		return plain
	}
	return full
}

func (c Code) grpcCode() codes.Code {
	if c < 0 || int(c) >= len(codeInfos) {
		return codes.Internal
	}
	return codeInfos[c].grpc
}

// AsError is err as an *Error: one that came through gRPC, one that was wrapped,
// or any other, which counts as Internal (Cancelled and Timeout for what a
// context says). It is nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if s, ok := status.FromError(err); ok {
		return fromStatus(s)
	}
	return &Error{Code: contextCode(err), Message: err.Error()}
}

func contextCode(err error) Code {
	switch {
	case errors.Is(err, context.Canceled):
		return Cancelled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Internal
}

// CodeOf is the code of err; Internal for an error without one. It is not to be
// asked about nil.
func CodeOf(err error) Code { return AsError(err).Code }

func fromStatus(s *status.Status) *Error {
	e := &Error{Code: statusCode(s.Code()), Message: s.Message()}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.addInfo(d)
		case *pb.Failure:
			e.Failure = d
		}
	}
	return e
}

func (e *Error) addInfo(info *errdetails.ErrorInfo) {
	if info.GetDomain() != errorDomain {
		return
	}
	for code, c := range codeInfos {
		if c.name == info.GetReason() {
			e.Code = Code(code)
		}
	}
	e.Leader = info.GetMetadata()["leader"]
}

// statusCode is the code for a status that carries none of ours: gRPC's own, or
// another server's.
func statusCode(c codes.Code) Code {
	switch c {
	case codes.InvalidArgument, codes.OutOfRange, codes.Unimplemented:
		return Invalid
	case codes.NotFound:
		return NotFound
	case codes.FailedPrecondition, codes.AlreadyExists:
		return Conflict
	case codes.Aborted:
		return Stale
	case codes.ResourceExhausted:
		return Full
	case codes.Unavailable:
		return Unavailable
	case codes.Canceled:
		return Cancelled
	case codes.DeadlineExceeded:
		return Timeout
	case codes.PermissionDenied, codes.Unauthenticated:
		return Forbidden
	}
	return Internal
}
