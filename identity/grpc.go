package identity

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
)

// ServerCredentials are Server for gRPC. Who is refused is logged with the
// reason, and a client without TLS is told that this server wants it.
func (k *Keeper) ServerCredentials() credentials.TransportCredentials {
	return &serverCredentials{credentials.NewTLS(k.Server()), k}
}

// ClientCredentials are Client for gRPC, with errors that say what to do.
func (k *Keeper) ClientCredentials(want ...Role) credentials.TransportCredentials {
	return &clientCredentials{credentials.NewTLS(k.Client(want...))}
}

type serverCredentials struct {
	credentials.TransportCredentials
	keeper *Keeper
}

// ServerHandshake lets a client in, or says why not.
func (s *serverCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return s.TransportCredentials.ServerHandshake(c)
	}
	k := &kept{TCPConn: tcp, open: true}
	secured, info, err := s.handshake(k)
	k.open = false
	if err != nil && !errors.Is(err, io.EOF) { // which is a port scan, or a check of health
		s.keeper.tellRefused(c.RemoteAddr(), err)
		hangUp(tcp)
	}
	return secured, info, err
}

func (s *serverCredentials) handshake(k *kept) (net.Conn, credentials.AuthInfo, error) {
	start := make([]byte, len(plainStart))
	n, err := io.ReadFull(k.TCPConn, start)
	if err != nil {
		k.TCPConn.Close()
		return nil, nil, io.EOF
	}
	k.start = start[:n]
	if string(start) == plainStart {
		refusePlain(k)
		return nil, nil, errors.New("it does not use TLS")
	}
	return s.TransportCredentials.ServerHandshake(k)
}

// Clone is another of the same.
func (s *serverCredentials) Clone() credentials.TransportCredentials {
	return &serverCredentials{s.TransportCredentials.Clone(), s.keeper}
}

// kept is a connection whose start was read already, and that the library does
// not close when a handshake fails: the other side is to hear why.
type kept struct {
	*net.TCPConn
	start []byte
	open  bool // during the handshake, by the one goroutine that does it
}

// Read reads.
func (k *kept) Read(b []byte) (int, error) {
	if len(k.start) > 0 {
		n := copy(b, k.start)
		k.start = k.start[n:]
		return n, nil
	}
	return k.TCPConn.Read(b)
}

// Close closes the connection, unless it is kept.
func (k *kept) Close() error {
	if k.open {
		return nil
	}
	return k.TCPConn.Close()
}

// The end of a refused connection.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// hangUp closes a connection so that what was said last arrives: to close one
// that has unread bytes would take it back.
func hangUp(c *net.TCPConn) {
	if c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		io.CopyN(io.Discard, c, lingerBytes) //nolint:errcheck // whatever it was
	}
	c.Close()
}

const (
	// plainStart is how HTTP/2 without TLS begins.
	plainStart = "PRI *"
	// plainHint is what a client without TLS is told.
	plainHint = "this server wants TLS: use --tls-cert, --tls-key and --tls-ca"
	// plainFrames is how many frames of such a client are looked at until it
	// calls.
	plainFrames = 20
)

// refusePlain answers the first call of a client without TLS in its own words,
// so that its user reads what is wrong.
func refusePlain(c *kept) {
	if c.SetDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	if f.WriteSettings() != nil {
		return
	}
	for range plainFrames {
		got, err := f.ReadFrame()
		if err != nil {
			return
		}
		if call, ok := got.(*http2.HeadersFrame); ok {
			f.WriteHeaders(http2.HeadersFrameParam{ //nolint:errcheck // it is refused either way
				StreamID: call.StreamID, BlockFragment: refusal(), EndStream: true, EndHeaders: true,
			})
			return
		}
	}
}

// refusal is the header of an answer that has nothing else.
func refusal() []byte {
	var text bytes.Buffer
	e := hpack.NewEncoder(&text)
	for _, h := range []hpack.HeaderField{
		{Name: ":status", Value: "200"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "grpc-status", Value: strconv.Itoa(int(codes.Unauthenticated))},
		{Name: "grpc-message", Value: plainHint},
	} {
		e.WriteField(h) //nolint:errcheck // a buffer has none
	}
	return text.Bytes()
}

type clientCredentials struct {
	credentials.TransportCredentials
}

// ClientHandshake introduces both sides.
func (c *clientCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, conn)
	if err == nil {
		return secured, info, nil
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(err.Error(), "first record does not look like a TLS handshake") {
		err = fmt.Errorf("the server at %s does not use TLS: leave out --tls-cert, --tls-key and --tls-ca, or start it with them", host(conn.RemoteAddr()))
	}
	return nil, nil, err
}

// Clone is another of the same.
func (c *clientCredentials) Clone() credentials.TransportCredentials {
	return &clientCredentials{c.TransportCredentials.Clone()}
}
