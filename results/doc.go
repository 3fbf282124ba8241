// Package results is the run directory: what a run leaves behind and how it is read again.
//
// The directory's source of truth is one append-only log of framed, checksummed records, [LogName]; everything else in
// it is derived from that log and can be made again. [Create] starts one and [Open] reads it, whole or cut off at any
// byte. Intervals stay in the file until they are ranged over. [Recorder] collects a series in the generator's hot path,
// [Series] and [SeriesSet] merge what intervals hold: histograms are merged, percentiles never are.
//
// The package judges nothing and formats nothing for people but the .hlog of [WriteHLog]. It starts no goroutine; a
// Writer, a Recorder and a SeriesSet have one user at a time, and a Run may be read by many.
package results
