package api

import (
	"math"
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The limits of a job, as the comments of its messages promise them.
const (
	MaxJobNameBytes      = 200
	MaxKeyBytes          = 200
	MaxStages            = 64
	MaxStageNameBytes    = 63
	MaxQueryBytes        = 1 << 20
	MaxCommandBytes      = 1 << 20
	MaxFiles             = 100_000
	MaxInlineBytes       = 1 << 20
	MaxRecordBytes       = 1 << 30
	MaxOkExits           = 256
	MaxExitStatus        = 255
	MaxEnvironment       = 256
	MaxEnvironmentBytes  = 128 << 10 // of one name or value, as Linux has it
	MaxLabels            = 64
	MaxLabelBytes        = 63
	MaxBatches           = 10_000_000
	MaxRetries           = 100
	MinPriority          = -1000
	MaxPriority          = 1000
	MinWeight            = 0.001
	MaxWeight            = 1000
	MaxDelay             = 30 * 24 * time.Hour
	DefaultRecordBytes   = 16 << 20
	DefaultRetries       = 3
	maxPathBytes         = 4096
	maxFunctionNameBytes = 100
)

// bound is what a field may hold. For numbers it bounds the value, in
// nanoseconds for durations; for strings the bytes, for lists and maps the
// entries.
type bound struct {
	min, max float64
	each     float64 // the most bytes of one string in a list or a map; 0: no limit
}

const inf = math.MaxInt64

// bounds holds the limits by field; a field that is absent here has none but
// its type's, and no number may be negative unless it says so here.
var bounds = sync.OnceValue(func() map[protoreflect.FullName]bound {
	const day30 = float64(MaxDelay)
	return map[protoreflect.FullName]bound{
		"millrace.v1.JobSpec.name":            {0, MaxJobNameBytes, 0},
		"millrace.v1.JobSpec.stages":          {1, MaxStages, 0},
		"millrace.v1.JobSpec.delay":           {0, day30, 0},
		"millrace.v1.JobSpec.retries":         {0, MaxRetries, 0},
		"millrace.v1.JobSpec.labels":          {0, MaxLabels, MaxLabelBytes},
		"millrace.v1.JobSpec.priority":        {MinPriority, MaxPriority, 0},
		"millrace.v1.JobSpec.weight":          {MinWeight, MaxWeight, 0},
		"millrace.v1.Source.files":            {0, MaxFiles, maxPathBytes},
		"millrace.v1.Source.max_record_bytes": {1, MaxRecordBytes, 0},
		"millrace.v1.IntegerRange.from":       {math.MinInt64, inf, 0},
		"millrace.v1.IntegerRange.to":         {math.MinInt64, inf, 0},
		"millrace.v1.Csv.delimiter":           {1, 1, 0},
		"millrace.v1.Csv.quote":               {0, 1, 0},
		"millrace.v1.Csv.escape":              {1, 1, 0},
		"millrace.v1.Stage.name":              {0, MaxStageNameBytes, 0},
		"millrace.v1.Stage.sql":               {1, MaxQueryBytes, 0},
		"millrace.v1.Stage.command":           {1, MaxCommandBytes, 0},
		"millrace.v1.Stage.function":          {1, maxFunctionNameBytes, 0},
		"millrace.v1.CommandOptions.ok_exit":  {0, MaxOkExits, 0},
		"millrace.v1.CommandOptions.env":      {0, MaxEnvironment, MaxEnvironmentBytes},
		"millrace.v1.FileSink.folder":         {1, maxPathBytes, 0},
		"millrace.v1.Batching.batches":        {0, MaxBatches, 0},
		"millrace.v1.Batching.records":        {0, inf, 0},
		"millrace.v1.Limits.deadline":         {1, inf, 0},
		"millrace.v1.Limits.batch_timeout":    {1, inf, 0},
		"millrace.v1.Limits.skip_bad_records": {0, inf, 0},
		"millrace.v1.Limits.retry_budget":     {0, inf, 0},
	}
})
