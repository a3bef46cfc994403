//! What `--help` teaches beside the options.

/// The first words.
pub(super) const ABOUT: &str = "\
Shows how deep every map operation of a running Go program has to probe.

map-probe attaches to the map functions of an unmodified Go program. An eBPF program in the kernel follows each \
lookup, insert and delete through the real map and counts how many buckets (Go up to 1.23) or groups (Go 1.24 and \
later) it examines: its depth. Depth 1 is ideal; more means that the map is crowded, worn by deletes, or \
that its keys hash badly.";

/// After the options.
pub(super) const MORE: &str = "\
Examples:
  map-probe --pid 4711                             the live dashboard; ? in it explains its keys
  map-probe --pid 4711 --format text               a block of text a second, until Ctrl-C
  map-probe --pid 4711 --duration 10s --format json --output report.json
  map-probe --max-overhead off --format ndjson -- ./server -port 80
                                                   every operation, from the first on
  map-probe record --pid 4711 --duration 30s -o maps.pb.gz   for go tool pprof
  map-probe --mode sample --pid 4711               shares of CPU time, for 0.3% of it
  map-probe sites ./server                         what would be probed; needs no root
  map-probe verify --pid 4711                      check for 5 s that map-probe finds what Go finds

How to read a report:
  lookup   hit or miss: the key was there, or not
  insert   update or new: the key was there, or not
  delete   hit or miss: the key was there, or not
  table    maps of more than one bucket or group as the operation starts: all operations
           on them are counted
  small    maps that are nil, empty, or a single bucket or group: there is nothing to probe.
           Many of these operations end before they reach a probe. \"small_counted\": true in a
           JSON report says that all of them are counted all the same, false that not all are.
  depth    buckets or groups examined before the operation ended; the first is depth 1. A
           bucket allocated at the end was not examined. An insert that makes its map grow is
           one operation, with the depth of its first search.
  excess   the sum of depth - 1: probes that better hashing or sizing would save
  p99      99% of the operations have this depth or less (p50, p90 and p999 likewise)

Sampling (--mode sample): no traps. A timer looks at each CPU many times a second; where it meets
  the target in a map operation, that operation is walked from where it stands. The counts of
  such a report are samples of CPU time, not operations: a slow operation is met more often than
  a fast one. \"of all\" is the share of the target's CPU time.
  unknown  inserts and deletes that had done their work, or were growing the map, and keys
           that Go hashes in parts (floats, interfaces, structs with strings): their function
           is known and their depth is not

Quality: operations that were seen and yet are in no row. All zero: the counts are exact.
  lost       a table of the kernel side had no room, or a probe fired that it has no site for
  faults     memory of the target could not be read
  torn       the map changed while it was walked
  truncated  the walk reached its bound, or the kernel side cannot compare keys of this type

Exit status:
  0  done: at the end of --duration, on Ctrl-C (q in the dashboard) or another signal that asks to
     end (SIGTERM, SIGHUP, SIGQUIT), or when the target exited
  1  internal error
  2  wrong usage
  3  the target cannot be probed: no Go program, unknown Go version or map layout, 32-bit
  4  not permitted: a capability is missing, the kernel is locked down, or /proc hides the process
  5  no such process, or it ended before the probes were in place
  6  verify: the runtime found another slot than map-probe
  7  verify: nothing was compared
  8  done, but the command (-- COMMAND) ended by a signal or with a status other than 0, which the
     report says; 0 if map-probe was asked to end by a signal or key, and 6 and 7 come first

What it needs:
  Linux 6.0 or later on amd64. From 6.6 on root or the capabilities CAP_BPF and CAP_PERFMON,
  with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH for processes of other users; before, root.

What it remembers:
  Up to 1,024 map types have counters of their own (fewer beyond 42 CPUs), and so have the
  maps used last and 65,536 combinations of call site, type and depth. Operations beyond that
  are counted all the same, as those of the type, map or function null. Memory does not grow
  with the maps, goroutines and threads of the target: map-probe's own stays below 128 MB plus
  the type information in the target's file, the kernel's tables take about 15 MB on 2 CPUs,
  1.6 MB for each further CPU, and at most 128 MB.

What it costs:
  At most what --max-overhead says: 1% of the target's throughput by default, whatever it does.
  Probes are in place in windows of time, at random, as long and as often as their measured
  price allows; a target that does few map operations is watched all the time. The price is at
  the end of every report.
  count      operations seen in windows
  depth      its distribution is that of all operations: each one seen counts as many as it
             stands for. With 95% certainty each number lies in the interval beside it.
  per s      of all operations, where that can be told; \"estimated\" in a JSON report
  A command gets its first window after a while (0.1 s at 1%); one that ends before has no counts.

  --max-overhead off traces every operation: 0.4 to 1 µs each, more where chains are deep or
  keys long. A program that does little but map operations becomes many times slower then.
  Nothing is left behind: when map-probe ends, the target is as fast as ever.";
