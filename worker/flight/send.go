package flight

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
)

// rawChunk is how many bytes of an output go in one message to another worker.
// Each open stream takes this much memory, and as much again on its way.
const rawChunk = 128 << 10

// bytesChunk is how many bytes of an output of bytes go in one record.
const bytesChunk = 1 << 20

// sender is where messages go.
type sender interface {
	Send(*flight.FlightData) error
}

// sendRaw sends the bytes of an output as they are.
func sendRaw(output *exchange.Reader, to sender) error {
	return chunks(output, rawChunk, func(data []byte) error {
		return to.Send(&flight.FlightData{DataBody: data})
	})
}

// chunks gives the bytes of an output piece by piece, each valid until the next.
func chunks(output *exchange.Reader, size int64, take func([]byte) error) error {
	// One byte more than there is: the last read finds the end.
	buffer := make([]byte, min(size, output.Ref().GetBytes()+1))
	for {
		n, err := io.ReadFull(output, buffer)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		if !output.Held() {
			return errDropped
		}
		if n > 0 {
			if err := take(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// bytesSchema is that of bytes as records.
var bytesSchema = arrow.NewSchema([]arrow.Field{{Name: "data", Type: arrow.BinaryTypes.Binary}}, nil)

// sendChunks sends an output of bytes as records with one column.
func sendChunks(output *exchange.Reader, to sender) error {
	w := ipc.NewWriterWithPayloadWriter(&payloads{to: to}, ipc.WithSchema(bytesSchema))
	err := chunks(output, bytesChunk, func(data []byte) error {
		offsets := arrow.Int32Traits.CastToBytes([]int32{0, int32(len(data))})
		column := array.NewBinaryData(array.NewData(arrow.BinaryTypes.Binary, 1,
			[]*memory.Buffer{nil, memory.NewBufferBytes(offsets), memory.NewBufferBytes(data)}, nil, 0, 0))
		return w.Write(array.NewRecordBatch(bytesSchema, []arrow.Array{column}, 1))
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// payloads sends what an Arrow writer makes.
type payloads struct {
	to   sender
	body bytes.Buffer
}

// Start has nothing to send.
func (p *payloads) Start() error { return nil }

// WritePayload sends one message.
func (p *payloads) WritePayload(payload ipc.Payload) error {
	meta := payload.Meta()
	defer meta.Release()
	p.body.Reset()
	if err := payload.SerializeBody(&p.body); err != nil {
		return err
	}
	return p.to.Send(&flight.FlightData{DataHeader: meta.Bytes(), DataBody: p.body.Bytes()})
}

// Close has nothing to send: a Flight stream just ends.
func (p *payloads) Close() error { return nil }

// sendMessages sends an Arrow stream message by message, as it lies in the
// spool, without decoding it.
func sendMessages(output *exchange.Reader, to sender) error {
	m := messages{from: output, left: output.Ref().GetBytes()}
	for {
		header, body, err := m.next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case !output.Held():
			return errDropped
		}
		if err := to.Send(&flight.FlightData{DataHeader: header, DataBody: body}); err != nil {
			return err
		}
	}
}

// schemaOf is the schema of an output as Flight tells it: an encapsulated
// message.
func schemaOf(output *exchange.Reader) ([]byte, error) {
	if output.Ref().GetKind() == pb.OutputKind_OUTPUT_KIND_BYTES {
		var b bytes.Buffer
		w := ipc.NewWriter(&b, ipc.WithSchema(bytesSchema))
		err := w.Close()
		return b.Bytes(), err
	}
	m := messages{from: output, left: output.Ref().GetBytes()}
	header, _, err := m.next()
	if err != nil {
		return nil, err
	}
	framed := binary.LittleEndian.AppendUint32(nil, continuation)
	framed = binary.LittleEndian.AppendUint32(framed, uint32(len(header)))
	return append(framed, header...), nil
}

// continuation begins every message of an Arrow stream.
const continuation = 0xFFFFFFFF

// messages reads the messages of an Arrow stream.
type messages struct {
	from io.Reader
	left int64 // bytes of the stream that were not read: nothing is longer
}

// next is the next message: its metadata, with padding, and its body. After the
// last it is io.EOF, and then all of the output was read and found sound.
func (m *messages) next() (header, body []byte, err error) {
	var prefix [8]byte
	if err := m.read(prefix[:]); err != nil {
		return nil, nil, err
	}
	size := int64(binary.LittleEndian.Uint32(prefix[4:]))
	switch {
	case binary.LittleEndian.Uint32(prefix[:]) != continuation:
		return nil, nil, m.damaged("a message begins with %x", prefix)
	case size == 0:
		return nil, nil, m.end()
	}
	if header, err = m.take(size); err != nil {
		return nil, nil, err
	}
	length, err := bodyLength(header)
	if err != nil {
		return nil, nil, m.damaged("%v", err)
	}
	if body, err = m.take(length); err != nil {
		return nil, nil, err
	}
	return header, body, nil
}

// take reads n bytes, if there can be that many.
func (m *messages) take(n int64) ([]byte, error) {
	if n < 0 || n > m.left {
		return nil, m.damaged("a message has a part of %d bytes, where %d are left", n, m.left)
	}
	data := make([]byte, n)
	return data, m.read(data)
}

func (m *messages) read(into []byte) error {
	n, err := io.ReadFull(m.from, into)
	m.left -= int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return m.damaged("it ends in the middle of a message")
	}
	return err
}

// end reads past the last message.
func (m *messages) end() error {
	n, err := io.Copy(io.Discard, m.from)
	switch {
	case err != nil:
		return err
	case n > 0:
		return m.damaged("%d bytes follow its end", n)
	}
	return io.EOF
}

func (m *messages) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", exchange.ErrDamaged, fmt.Sprintf(format, args...))
}

// bodyLength is how long the body of a message is, by its metadata. Arrow's
// decoder panics at what it can't make sense of.
func bodyLength(header []byte) (n int64, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("a message has metadata that can't be read")
		}
	}()
	message := ipc.NewMessage(memory.NewBufferBytes(header), memory.NewBufferBytes(nil))
	return message.BodyLen(), nil
}
