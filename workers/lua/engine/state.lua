-- The state of the loop and of the request being executed, and the buffers they work on.
--
-- Everything the loop needs between two of its steps is in `st`, so that any coroutine can go on
-- with the same batch; `cur` is the session whose code runs now. Both are FFI structures: reads and
-- writes in compiled code are plain memory accesses.
--
--   input:  [ ... i ........ have ]   packets are read at i, input ends at have   (shared `input`)
--   output: [ answers ..... w ]       the next answer starts at w                 (shared `output`)

local ffi = require('ffi')
local sys = require('beespace.engine.sys')

ffi.cdef [[
typedef struct {
  /* The pulse: while these stay the same, one piece of code runs; engine/interrupt, watchdog.py. */
  double batch;     /* batches since start */
  double switches;  /* times a fiber was switched to, or gave way */
  int i;            /* next unread byte of the input */
  int have;         /* end of the input */
  /* Whether code runs at all: one of them is 1. */
  int in_request;   /* 1 while a packet is being executed: an error is then the request's */
  int away;         /* 0: the loop's owner runs, 1: a fiber that was switched to */
  int w;            /* end of the answers in the output */
  int k;            /* next event to serve */
  int n;            /* events of the last wait */
  int fd;           /* descriptor whose input is being read, -1 between batches */
  int stop;         /* not 0: leave the loop once the events are served, see engine/loop */
  int taken, came;  /* connections of the batch that are open, and that came */
  int max_packet;   /* longest packet accepted, bytes; at most MAX_PACKET */
  double next_yield;  /* when the CPU is offered to other processes, seconds */
  int poll;         /* descriptor of the poll set */
  int rehearsal;    /* 1 while the loop warms up: what belongs to real sessions is left alone */
  int at;           /* where the body of the packet being executed begins */
  double stream;    /* stream that the packet being executed names, 0: none */
  int ready;        /* 1: fibers want to run */
  int due;          /* subscriptions to look at, see engine/watch */
  int unsent;       /* sessions whose queues are sent at the end of the turn */
  int resumes;      /* sessions whose kept input can be read on */
  double next_timer;  /* when the earliest waiting fiber is due, monotonic seconds */
  int full;         /* 1: sessions are in line to be read, see engine/turnstile */
  int overrides;    /* callbacks that answer requests, see engine/override */
  int pings, calls, evals, selects, auths, others, errors, bad;  /* of this batch */
  double next_tick; /* when the loop looks after what is due, monotonic seconds */
  double next_sweep; /* when engine/lifetimes looks after sessions, monotonic seconds */
  double woke;      /* end of the last wait, monotonic seconds */
  double mark;      /* end of the last batch, or when a request began to wait, coarsely */
  double longest;   /* longest turn of the loop since engine/health told of it, seconds */
  double catalog;   /* generation of the users and rights that this worker has */
  volatile double *generation;  /* that of the server, in the segment */
  uint64_t sync;    /* sync of the packet being executed, big-endian as on the wire */
  int turn;         /* another number after every wait for events */
} bee_state_t;

typedef struct {
  double id;        /* session id, 0 where there is no session */
  int fd;           /* its socket, -1 where there is none or it is closed */
  int uid;          /* id of the session's user */
  int euid;         /* id of the user whose rights apply */
  int su;           /* how often euid was changed for a while, see fibers.as */
  int rights;       /* 1: the user of this request may call and evaluate everything */
} bee_current_t;

typedef struct {
  double id;        /* session of a console, 0: none */
  char text[64];    /* how its statement begins, ends with a zero */
} bee_statement_t;
]]

local RECEIVE = 1024 * 1024
local RESULT_LIMIT = 256 * 1024 * 1024
local MAX_PACKET = 1024 * 1024 * 1024

local state = {
  -- Bytes asked for in one receive.
  RECEIVE = RECEIVE,
  -- Answers beyond this many bytes are flushed before the next packet is read.
  SOFT_OUTPUT = 256 * 1024,
  -- Pages kept in the shared buffers between batches.
  KEEP = RECEIVE,
  -- A time that never comes.
  FOREVER = 1e300,
  -- Users that every server has.
  GUEST = 0,
  ADMIN = 1,
  -- Longest answer.
  RESULT_LIMIT = RESULT_LIMIT,
}

local st = sys.lasting('bee_state_t', 1)
local cur = sys.lasting('bee_current_t', 1)
st.fd = -1
cur.fd = -1
cur.uid, cur.euid = state.ADMIN, state.ADMIN
st.next_timer, st.next_sweep = state.FOREVER, state.FOREVER
st.max_packet = MAX_PACKET
-- Until engine/catalog is attached.
local no_generation = ffi.new('double[1]')
state.no_generation = no_generation
st.generation = no_generation

state.st = st
state.cur = cur

-- The shared buffers are address space, whose pages come when they are touched. They are made when
-- this file is loaded, so that they are constants of the compiled code.
state.input = sys.reserve(MAX_PACKET + 4 * RECEIVE)
state.output = sys.reserve(RESULT_LIMIT + RECEIVE)

-- What consoles execute, for who looks from beside the loop (shm/running.py): the one of session
-- `id` is at id % STATEMENTS, unless another one has taken its place.
local STATEMENTS, LONGEST = 16, 60
local executed = ffi.new('bee_statement_t[?]', STATEMENTS)
state.executed = executed

-- What the log says in the place of what speaks of a password (shm/packets.py).
state.HIDDEN = '(not shown: it may have a password in it)'

-- A statement as lines of the log show it; of one that is cut nothing when any of it speaks of a
-- password (shm/packets.py).
function state.short(line)
  if #line <= LONGEST then
    return line
  end
  local small = line:lower()
  if small:find('passw', 1, true) or small:find('secret', 1, true) then
    return state.HIDDEN
  end
  return line:sub(1, LONGEST - 3) .. '...'
end

-- Say which statement a console executes, nil when it has ended.
function state.says(id, line)
  local place = executed[id % STATEMENTS]
  if line ~= nil then
    place.id = id
    ffi.copy(place.text, state.short(line))
  elseif place.id == id then
    place.id = 0
  end
end

-- Id of the session whose code runs now, 0 where there is none: for log lines.
function state.session_id()
  return cur.id
end

return state
