// Package flight serves the outputs that a worker's spool holds by Arrow Flight:
// to other workers as the bytes that they are, to everybody else as record
// batches. It only reads what the spool has, by a name that can't be guessed and
// the job that it is of. Who may ask at all is decided by whose gRPC server it is
// registered with; which outputs there are, by the spool.
package flight

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
)

// DefaultStreams is how many outputs are sent at once when Options say nothing.
// Those beyond are refused, and asked for again: to let them wait could have two
// merges wait for each other, each with half of the streams that it needs.
const DefaultStreams = 1024

// maxTicket is how many bytes a ticket has at most.
const maxTicket = 256

// Options are what a Server can be told.
type Options struct {
	// Streams is how many outputs are sent at once; DefaultStreams when 0.
	Streams int
	// Logger takes a line for each output that was not sent to its end; slog's
	// default when nil.
	Logger *slog.Logger
}

// Server is an Arrow Flight service over a spool. It is safe for use by several
// goroutines.
type Server struct {
	spool   *exchange.Spool
	streams chan struct{}
	log     *slog.Logger
}

// New makes the service of a spool.
func New(spool *exchange.Spool, o Options) *Server {
	if o.Streams == 0 {
		o.Streams = DefaultStreams
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Server{spool: spool, streams: make(chan struct{}, o.Streams), log: o.Logger}
}

// ServerOptions are what a gRPC server needs that it is registered with: clients
// of a data plane make sure of a silent peer more often than gRPC expects.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
}

// Register adds the service to a gRPC server, which decides who may use it.
func (s *Server) Register(server grpc.ServiceRegistrar) {
	flight.RegisterFlightServiceServer(server, &service{server: s})
}

// service keeps the methods of Flight off Server's own.
type service struct {
	flight.UnimplementedFlightServiceServer
	server *Server
}

// DoGet sends an output.
func (s *service) DoGet(ticket *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	server := s.server
	output, err := server.open(ticket.GetTicket())
	if err != nil {
		return err
	}
	defer output.Close()
	select {
	case server.streams <- struct{}{}:
		defer func() { <-server.streams }()
	default:
		return status.Errorf(codes.ResourceExhausted, "%d outputs are being sent already: ask again", cap(server.streams))
	}
	if err := server.send(output, stream); err != nil {
		server.log.Debug("an output was not sent to its end", "output", output.Ref().GetId(), "error", err)
		return err
	}
	return nil
}

// GetFlightInfo tells of an output by its ticket, given as a command.
func (s *service) GetFlightInfo(_ context.Context, d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	output, err := s.server.open(d.GetCmd())
	if err != nil {
		return nil, err
	}
	defer output.Close()
	schema, err := schemaOf(output)
	if err != nil {
		return nil, wire(err)
	}
	records := int64(-1) // unknown: that of chunks tells nobody anything
	if output.Ref().GetKind() != pb.OutputKind_OUTPUT_KIND_BYTES {
		records = output.Ref().GetRecords()
	}
	return &flight.FlightInfo{
		Schema: schema, FlightDescriptor: d, Ordered: true,
		Endpoint:     []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: d.GetCmd()}}},
		TotalRecords: records, TotalBytes: output.Ref().GetBytes(),
	}, nil
}

// GetSchema tells what records an output has, by its ticket, given as a command.
func (s *service) GetSchema(_ context.Context, d *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	output, err := s.server.open(d.GetCmd())
	if err != nil {
		return nil, err
	}
	defer output.Close()
	schema, err := schemaOf(output)
	if err != nil {
		return nil, wire(err)
	}
	return &flight.SchemaResult{Schema: schema}, nil
}

// errUnknown is the answer to every ticket that does not fit, whatever is wrong
// with it: who guesses learns nothing.
var errUnknown = status.Error(codes.NotFound, "there is no such output here: its ticket is not right, or its job is over")

// errDropped is what ends a stream whose output is not kept any longer.
var errDropped = status.Error(codes.NotFound, "the output was removed while it was being read: nobody needs it any more, or its job is over")

// open finds the output that a ticket is for.
func (s *Server) open(ticket []byte) (*exchange.Reader, error) {
	var named pb.OutputTicket
	if len(ticket) > maxTicket || proto.Unmarshal(ticket, &named) != nil {
		return nil, errUnknown
	}
	output, err := s.spool.Open(named.GetJob(), named.GetOutput())
	if err != nil {
		return nil, wire(err)
	}
	return output, nil
}

// wire is an error as a client sees it.
func wire(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exchange.ErrNotHeld):
		return errUnknown
	case errors.Is(err, exchange.ErrDamaged):
		return status.Error(codes.DataLoss, err.Error())
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Errorf(codes.Internal, "the output can't be read: %v", err)
}

// send sends an output in the form that was asked for.
func (s *Server) send(output *exchange.Reader, stream flight.FlightService_DoGetServer) error {
	asked, _ := metadata.FromIncomingContext(stream.Context())
	switch {
	case len(asked.Get(dataplane.RawKey)) > 0:
		if err := stream.SendHeader(metadata.Pairs(dataplane.RawKey, "1")); err != nil {
			return err
		}
		return wire(sendRaw(output, stream))
	case output.Ref().GetKind() == pb.OutputKind_OUTPUT_KIND_BYTES:
		return wire(sendChunks(output, stream))
	}
	return wire(sendMessages(output, stream))
}
