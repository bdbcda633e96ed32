package outbox

import pb "github.com/millrace/millrace/api/millracev1"

// count is how many items a message holds; none when it is nil.
func count(m *pb.SessionResponse) int {
	if m == nil {
		return 0
	}
	n := len(m.Jobs) + len(m.Grants) + len(m.Acks) + len(m.Revokes) +
		len(m.DropOutputs) + len(m.Sends) + len(m.EndedJobs) + len(m.CheckSinks)
	if m.Attached != nil || m.Heartbeat != 0 || m.Drain || m.Leave {
		n++
	}
	return n
}

// join adds the second message, which is the later one, to the first.
func join(m, later *pb.SessionResponse) *pb.SessionResponse {
	if m == nil {
		return later
	}
	if later.Attached != nil {
		m.Attached = later.Attached
	}
	m.Heartbeat = max(m.Heartbeat, later.Heartbeat)
	m.Drain = m.Drain || later.Drain
	m.Leave = m.Leave || later.Leave
	if later.DrainWithin != nil {
		m.DrainWithin = later.DrainWithin
	}
	m.Jobs = append(m.Jobs, later.Jobs...)
	m.Grants = append(m.Grants, later.Grants...)
	m.Acks = append(m.Acks, later.Acks...)
	m.Revokes = append(m.Revokes, later.Revokes...)
	m.DropOutputs = append(m.DropOutputs, later.DropOutputs...)
	m.CheckSinks = append(m.CheckSinks, later.CheckSinks...)
	m.Sends = append(m.Sends, later.Sends...)
	m.EndedJobs = append(m.EndedJobs, later.EndedJobs...)
	return m
}

// What an item takes in a message, about, beside the parts that are counted.
const (
	fixedBytes  = 64
	leaseBytes  = 160
	splitBytes  = 96
	outputBytes = 128
)

// split takes about so many bytes off the front of a message. A context goes
// no later than the grants and checks that were put with it, a revocation no
// earlier than its grant, and the end of a job goes last.
func split(m *pb.SessionResponse, room int) (first, rest *pb.SessionResponse) {
	if m == nil {
		return nil, nil
	}
	c := cutter{room: room}
	first = &pb.SessionResponse{Attached: m.Attached, Heartbeat: m.Heartbeat, Drain: m.Drain, DrainWithin: m.DrainWithin, Leave: m.Leave}
	m.Attached, m.Heartbeat, m.Drain, m.DrainWithin, m.Leave = nil, 0, false, nil, false
	first.Acks, m.Acks = cut(&c, m.Acks, ackSize)
	first.Jobs, m.Jobs = cut(&c, m.Jobs, contextSize)
	first.Grants, m.Grants = cut(&c, m.Grants, leaseSize)
	first.CheckSinks, m.CheckSinks = cut(&c, m.CheckSinks, checkSize)
	first.Revokes, m.Revokes = cut(&c, m.Revokes, revokeSize)
	first.Sends, m.Sends = cut(&c, m.Sends, sendSize)
	first.DropOutputs, m.DropOutputs = cut(&c, m.DropOutputs, nameSize)
	first.EndedJobs, m.EndedJobs = cut(&c, m.EndedJobs, jobSize)
	if count(m) == 0 {
		m = nil
	}
	return first, m
}

// cutter counts down what still fits.
type cutter struct{ room int }

// cut takes items from the front of a list while there is room; once a list had
// to be cut nothing after it fits.
func cut[T any](c *cutter, list []T, size func(T) int) (first, rest []T) {
	for i := range list {
		if c.room <= 0 {
			return list[:i:i], list[i:]
		}
		c.room -= size(list[i])
	}
	return list, nil
}

func ackSize(a *pb.OutcomeAck) int { return fixedBytes + len(a.Reason) }

func contextSize(j *pb.JobContext) int {
	n := 4 * fixedBytes
	for _, r := range j.GetSpec().GetSource().GetRecords() {
		n += len(r)
	}
	for _, s := range j.GetSpec().GetStages() {
		n += fixedBytes + len(s.GetSql()) + len(s.GetCommand())
	}
	return n + splitBytes*len(j.GetSpec().GetSource().GetFiles())
}

func leaseSize(l *pb.Lease) int {
	n := leaseBytes + splitBytes*len(l.Splits) + outputBytes*len(l.Inputs)
	for _, in := range l.Inputs {
		for _, address := range in.Addresses {
			n += 2 + len(address)
		}
	}
	return n
}

func revokeSize(r *pb.Revoke) int { return fixedBytes + len(r.Reason) }

func checkSize(*pb.SinkCheck) int { return fixedBytes }

func sendSize(*pb.Send) int { return fixedBytes + outputBytes }

func nameSize(name string) int { return 2 + len(name) }

func jobSize(uint64) int { return 10 }
