package source

import (
	"bufio"
	"compress/bzip2"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// openChecked opens a fragment's file, if it is still what was planned.
func openChecked(f *pb.Fragment, o Options) (File, error) {
	file, err := o.open(f.GetPath())
	if err != nil {
		return nil, openError(f, err)
	}
	if err := verify(file, f); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func openError(f *pb.Fragment, err error) error {
	cause := err
	var pe *fs.PathError
	if errors.As(err, &pe) {
		cause = pe.Err
	}
	switch {
	case isOutside(err):
		return processor.InputGone("%v", err)
	case errors.Is(err, fs.ErrNotExist):
		return gone(f, "is no longer there")
	case errors.Is(err, fs.ErrPermission):
		return processor.Fatal("%s: can't be read: %v", f.GetPath(), cause)
	}
	return err
}

// verify compares a file with what it was when it was listed.
func verify(file File, f *pb.Fragment) error {
	info, err := file.Stat()
	if err != nil {
		return openError(f, err)
	}
	if info.Size() != f.GetSizeBytes() || info.ModTime().UnixNano() != f.GetModifiedUnixNanos() {
		return gone(f, "has changed since it was planned")
	}
	return nil
}

func gone(f *pb.Fragment, text string) error {
	return processor.InputGone("%s %s: run the job again to read it as it is now", f.GetPath(), text)
}

// decompressor is a decompressed stream that knows how far it came.
type decompressor struct {
	fragment *pb.Fragment
	file     File
	in       io.Reader
	release  func()
	offset   int64
}

// openCompressed opens a compressed file as a stream of what is in it.
func openCompressed(f *pb.Fragment, o Options) (*decompressor, error) {
	file, err := openChecked(f, o)
	if err != nil {
		return nil, err
	}
	d := &decompressor{fragment: f, file: file, release: func() {}}
	raw := io.NewSectionReader(file, 0, f.GetSizeBytes())
	switch f.GetCompression() {
	case pb.Compression_COMPRESSION_GZIP:
		err = d.gzip(raw)
	case pb.Compression_COMPRESSION_ZSTD:
		err = d.zstd(raw)
	case pb.Compression_COMPRESSION_BZIP2:
		d.in = bzip2.NewReader(bufio.NewReaderSize(raw, 64<<10))
	default:
		d.in = raw
	}
	if err != nil && err != io.EOF {
		err = d.failed(err) // which looks at the file
		d.Close()
		return nil, err
	}
	return d, nil
}

var (
	gzips = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zstds = sync.Pool{New: func() any { return nil }}
	reads = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}
)

func (d *decompressor) gzip(raw io.Reader) error {
	z, b := gzips.Get().(*gzip.Reader), reads.Get().(*bufio.Reader)
	b.Reset(raw)
	d.release = func() {
		b.Reset(nil)
		gzips.Put(z)
		reads.Put(b)
	}
	d.in = z
	err := z.Reset(b)
	if err == io.EOF && d.fragment.GetSizeBytes() == 0 {
		d.in = eof{}
	} else if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

type eof struct{}

// Read is at the end.
func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func (d *decompressor) zstd(raw io.Reader) error {
	z, _ := zstds.Get().(*zstd.Decoder)
	if z == nil {
		var err error
		if z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err != nil {
			return err
		}
	}
	d.in = z
	d.release = func() {
		if z.Reset(nil) == nil {
			zstds.Put(z)
		}
	}
	return z.Reset(raw)
}

// Read reads on. Its end is where the file proved to be unchanged.
func (d *decompressor) Read(p []byte) (int, error) {
	n, err := d.in.Read(p)
	d.offset += int64(n)
	if err == io.EOF {
		if changed := verify(d.file, d.fragment); changed != nil {
			err = changed
		}
	} else if err != nil {
		err = d.failed(err)
	}
	return n, err
}

func (d *decompressor) failed(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if changed := verify(d.file, d.fragment); changed != nil {
		return changed
	}
	what := "is corrupt"
	if errors.Is(err, io.ErrUnexpectedEOF) {
		what = "ends too early"
	}
	return processor.Fatal("%s: its %s data %s after %d bytes of content: %v", d.fragment.GetPath(), compressionName(d.fragment.GetCompression()), what, d.offset, err)
}

func compressionName(c pb.Compression) string {
	switch c {
	case pb.Compression_COMPRESSION_GZIP:
		return "gzip"
	case pb.Compression_COMPRESSION_ZSTD:
		return "zstd"
	case pb.Compression_COMPRESSION_BZIP2:
		return "bzip2"
	}
	return "plain"
}

// Close ends the reading.
func (d *decompressor) Close() error {
	d.release()
	d.release = func() {}
	return d.file.Close()
}
