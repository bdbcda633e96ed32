package dataplane

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// smallResult is up to how many bytes a result is read through the coordinator
// at once: it most likely has a copy, and one connection is enough.
const smallResult = 1 << 20

// maxTries is how often one part of a result is opened.
const maxTries = 8

// castagnoli is the polynomial of the sums by which a part is known again.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Result opens the result of a job that has no file sink, as client.Result does,
// and reads a large one that is kept from the workers that hold it, part by part.
// A part that can't be had there comes through the coordinator, which has it made
// again if it is lost. Its errors are api.Errors; Conflict says that a part that
// was read in part came out otherwise when it was made again. The caller must
// Close the result, and keeps client and pool.
func Result(ctx context.Context, client *api.Client, pool *Pool, id string) (*api.Result, error) {
	header, parts, err := client.Locate(ctx, id)
	if err != nil || !worthIt(parts) {
		return client.Result(ctx, id) // or says what is wrong
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{
		ctx: ctx, client: client, id: id, header: header, parts: parts,
		ahead: ahead{ctx: ctx, pool: pool}, unreachable: map[string]bool{},
	}
	return api.NewResult(s.next, func() {
		cancel() // which ends what next waits for
		s.mu.Lock()
		defer s.mu.Unlock()
		s.close()
	})
}

// worthIt says that a result is worth connections to workers.
func worthIt(parts []*pb.ResultPart) bool {
	total, served := int64(0), false
	for _, part := range parts {
		total += part.GetBytes()
		served = served || len(part.GetAddresses()) > 0
	}
	return served && total > smallResult
}

// stream reads a result part by part. What its context ends, ends it.
type stream struct {
	ctx    context.Context
	client *api.Client
	id     string

	mu sync.Mutex // all below: the result may be closed while it is read

	header      *pb.ResultHeader // until it was told
	parts       []*pb.ResultPart
	at          int             // the part that is read, or comes next
	unreachable map[string]bool // workers
	reached     bool            // some worker was
	ahead       ahead
	through     *through // the coordinator, while it is read

	source  source // of the part; nil until it is open
	central bool   // its worker does not have it: the coordinator must know more
	given   int64  // bytes of the part that were given out
	sum     uint32 // the CRC-32C of those
	tries   int    // how often the part was opened
}

// next is the next message of the result.
func (s *stream) next() (*pb.ReadResultResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.header != nil {
		header := s.header
		s.header = nil
		return &pb.ReadResultResponse{Header: header}, nil
	}
	for s.at < len(s.parts) {
		data, err := s.piece()
		switch {
		case err == io.EOF:
			err = s.finish()
		case err != nil && (errors.As(err, new(*api.Error)) || s.ctx.Err() != nil):
		case err != nil:
			err = s.another(err)
		case len(data) > 0:
			return s.give(data), nil
		}
		if err != nil {
			s.close()
			return nil, err
		}
	}
	s.close()
	return nil, io.EOF
}

// piece is the next piece of the part, which is opened first if need be.
func (s *stream) piece() (data []byte, err error) {
	if s.source == nil {
		if s.source, err = s.open(); err != nil {
			return nil, err
		}
	}
	return s.source.next()
}

// open opens the part where it lies, or through the coordinator if its worker
// can't be reached. Of one that was read in part, the rest is given.
func (s *stream) open() (opened source, err error) {
	s.tries++
	if s.central || s.outOfReach(s.parts[s.at]) {
		opened, err = s.coordinator()
	} else {
		s.leave()
		opened, err = s.ahead.take(s.parts, s.at)
		s.reached = s.reached || err == nil
	}
	if err != nil || s.given == 0 {
		return opened, err
	}
	return &resumed{source: opened, left: s.given, want: s.sum}, nil
}

// outOfReach says that it is of no use to ask the worker that holds a part. Who
// reached none of two is most likely not in their network at all.
func (s *stream) outOfReach(part *pb.ResultPart) bool {
	return len(part.GetAddresses()) == 0 || s.unreachable[part.GetWorker()] || !s.reached && len(s.unreachable) > 1
}

func (s *stream) give(data []byte) *pb.ReadResultResponse {
	begins := s.given == 0
	s.given += int64(len(data))
	s.sum = crc32.Update(s.sum, castagnoli, data)
	return &pb.ReadResultResponse{Data: data, BeginsOutput: begins}
}

// finish ends a part. One that has not the size that it should was made again
// since, or something is wrong.
func (s *stream) finish() error {
	if s.given != s.parts[s.at].GetBytes() {
		if err := s.relocate(); err != nil {
			return err
		}
		if s.given != s.parts[s.at].GetBytes() {
			return errChanged
		}
	}
	s.drop()
	s.at++
	s.given, s.sum, s.tries, s.central = 0, 0, 0, false
	return nil
}

// another has the part opened again, from wherever it now is.
func (s *stream) another(err error) error {
	s.drop()
	if s.tries >= maxTries {
		return api.Errorf(api.Unavailable, "part %d of the result can't be had: %v", s.at, err)
	}
	if errors.Is(err, ErrUnreachable) {
		s.unreachable[s.parts[s.at].GetWorker()] = true
	}
	failed := s.parts[s.at]
	if err := s.relocate(); err != nil {
		return err
	}
	s.central = alike(s.parts[s.at], failed)
	return nil
}

// errChanged ends a result whose parts are not what they were.
var errChanged = api.Errorf(api.Conflict, "a part of the result was lost while it was being read, and came out otherwise "+
	"when it was made again: read the result again from its beginning")

// relocate asks where the parts are now, and finds the one that comes next among
// them by its position: a lost part may have become several.
func (s *stream) relocate() error {
	_, parts, err := s.client.Locate(s.ctx, s.id)
	if err != nil {
		return err
	}
	s.leave()
	s.ahead.forget()
	at, found := find(parts, s.parts, s.at)
	if !found {
		return errChanged
	}
	s.parts, s.at = parts, at
	return nil
}

// find is where in a list of parts the one begins that has this index in an
// earlier list.
func find(parts, earlier []*pb.ResultPart, index int) (int, bool) {
	at := earlier[index].GetPosition()
	i := slices.IndexFunc(parts, func(p *pb.ResultPart) bool { return p.GetEndPosition() > at })
	return i, i >= 0 && parts[i].GetPosition() == at
}

// alike says that two parts are the same output.
func alike(a, b *pb.ResultPart) bool {
	return a.GetWorker() == b.GetWorker() && bytes.Equal(a.GetTicket(), b.GetTicket())
}

// coordinator reads the part through the coordinator, on the stream that is open
// if that has come so far.
func (s *stream) coordinator() (source, error) {
	if s.through == nil || s.through.at != s.at {
		s.leave()
		result, err := s.client.ResultFrom(s.ctx, s.id, uint64(s.at))
		if err != nil {
			return nil, err
		}
		s.through = newThrough(result, s.at)
	}
	return s.through.part()
}

// leave ends the reading through the coordinator.
func (s *stream) leave() {
	if s.through != nil {
		s.through.end()
		s.through = nil
	}
}

func (s *stream) drop() {
	if s.source != nil {
		s.source.close()
		s.source = nil
	}
}

func (s *stream) close() {
	s.drop()
	s.leave()
	s.ahead.forget()
}
