package coordinator

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/relay"
	"github.com/millrace/millrace/coordinator/wire"
)

// Whatever a client submits is refused, or can be kept and told again.
func FuzzSubmission(f *testing.F) {
	for _, s := range []*pb.JobSpec{spec(), {Labels: map[string]string{"": "a"}}, {Source: &pb.Source{Files: []string{""}}}} {
		b, err := proto.Marshal(&pb.SubmitJobRequest{Spec: s, Key: "k"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &pb.SubmitJobRequest{}
		if proto.Unmarshal(b, r) != nil {
			t.Skip()
		}
		if err := checkSubmission(r); err != nil {
			if api.CodeOf(err) != api.Invalid {
				t.Errorf("refused by %v", err)
			}
			return
		}
		e := wire.Submission(1, r, "u")
		if !proto.Equal(wire.Spec(e.Spec), r.GetSpec()) {
			t.Error("the job is not kept as it was")
		}
	})
}

// Whatever is uploaded, the reader gets what was promised, or an error.
func FuzzUpload(f *testing.F) {
	f.Add(uint8(3), []byte("abc"), uint8(2), true)
	f.Add(uint8(0), []byte(""), uint8(1), true)
	f.Add(uint8(9), []byte("too short"), uint8(4), false)
	f.Fuzz(func(t *testing.T, promised uint8, data []byte, chunk uint8, whole bool) {
		c, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		transfer := c.relay.Expect(int64(promised), int64(promised))
		stream := &uploadOf{ticket: transfer.Ticket(), data: data, chunk: int(chunk%16) + 1, broken: !whole}
		err = c.upload(t.Context(), stream)
		got, readErr := readAll(t.Context(), transfer)
		transfer.Close()
		if right := whole && len(data) == int(promised); (readErr == nil) != right || right && (err != nil || got != string(data)) {
			t.Errorf("promised %d, sent %q, whole %v: the worker gets %v, the reader %q, %v", promised, data, whole, err, got, readErr)
		}
	})
}

// uploadOf is the stream of an upload in chunks.
type uploadOf struct {
	uploadStream
	ticket string
	data   []byte
	chunk  int
	broken bool // it breaks off before its end
}

func (u *uploadOf) Recv() (*pb.UploadRequest, error) {
	r := &pb.UploadRequest{Ticket: u.ticket, Data: u.data[:min(u.chunk, len(u.data))]}
	switch {
	case u.ticket == "" && len(u.data) == 0 && u.broken:
		return nil, context.Canceled
	case u.ticket == "" && len(u.data) == 0:
		return nil, io.EOF
	}
	u.ticket, u.data = "", u.data[len(r.GetData()):]
	return r, nil
}

func (u *uploadOf) SendAndClose(*pb.UploadResponse) error { return nil }

func readAll(ctx context.Context, t *relay.Transfer) (string, error) {
	if err := t.Whole(ctx); err != nil {
		return "", err
	}
	var all []byte
	for {
		b, err := t.Read(ctx)
		if errors.Is(err, io.EOF) {
			return string(all), nil
		}
		if err != nil {
			return "", err
		}
		all = append(all, b...)
	}
}
