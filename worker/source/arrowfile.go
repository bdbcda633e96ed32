package source

import (
	"encoding/binary"
	"errors"
	"fmt"

	flatbuffers "github.com/google/flatbuffers/go"
)

var errArrowFile = errors.New("not a complete Arrow file")

// arrowCounts is how many rows each record batch of an Arrow file has, from
// its footer and the batches' headers alone: the batches aren't read.
func arrowCounts(f File, size int64) (counts []int64, err error) {
	defer func() {
		if p := recover(); p != nil { // flatbuffers' way to say: out of bounds
			counts, err = nil, fmt.Errorf("%w: %v", errArrowFile, p)
		}
	}()
	footer, err := arrowFooter(f, size)
	if err != nil {
		return nil, err
	}
	const recordBatches, blockSize = 10, 24 // the footer's 4th field
	o := flatbuffers.UOffsetT(footer.Offset(recordBatches))
	if o == 0 {
		return nil, nil
	}
	n, at := footer.VectorLen(o), footer.Vector(o)
	for i := range n {
		block := at + flatbuffers.UOffsetT(i*blockSize)
		count, err := batchRows(f, size, footer.GetInt64(block), footer.GetInt32(block+8))
		if err != nil {
			return nil, err
		}
		counts = append(counts, count)
	}
	return counts, nil
}

func arrowFooter(f File, size int64) (*flatbuffers.Table, error) {
	const trailer = 10 // the footer's length, and the magic
	var end [trailer]byte
	if size < 2*trailer {
		return nil, errArrowFile
	}
	if _, err := f.ReadAt(end[:], size-trailer); err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(end[:4]))
	if string(end[4:]) != "ARROW1" || n > size-trailer {
		return nil, errArrowFile
	}
	return readTable(f, size-trailer-n, n)
}

func readTable(f File, at, n int64) (*flatbuffers.Table, error) {
	buf := make([]byte, n)
	if _, err := f.ReadAt(buf, at); err != nil {
		return nil, err
	}
	return &flatbuffers.Table{Bytes: buf, Pos: flatbuffers.GetUOffsetT(buf)}, nil
}

// batchRows is the length in a record batch's header.
func batchRows(f File, size, at int64, length int32) (int64, error) {
	if at < 0 || length < 12 || at+int64(length) > size {
		return 0, errArrowFile
	}
	var prefix [4]byte
	if _, err := f.ReadAt(prefix[:], at); err != nil {
		return 0, err
	}
	skip := int64(4)
	if binary.LittleEndian.Uint32(prefix[:]) == 0xffffffff {
		skip = 8
	}
	message, err := readTable(f, at+skip, int64(length)-skip)
	if err != nil {
		return 0, err
	}
	const header, rows = 8, 4 // the message's 3rd field, the batch's 1st
	batch := flatbuffers.Table{Bytes: message.Bytes}
	o := flatbuffers.UOffsetT(message.Offset(header))
	if o == 0 {
		return 0, errArrowFile
	}
	message.Union(&batch, o)
	if o := batch.Offset(rows); o != 0 {
		return batch.GetInt64(batch.Pos + flatbuffers.UOffsetT(o)), nil
	}
	return 0, nil
}
