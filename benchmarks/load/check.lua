-- Sends one prepared request again and again, and checks status and output of every answer.
-- Arguments: a file with the body, a file with the JSON of the expected output.

local expected
local threads = {}
-- Globals, since `done` reads them from each thread.
ok, refused, wrong = 0, 0, 0

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- Plain searches only: a pattern takes milliseconds in a large body.
local function is_expected(body)
  local _, last = string.find(body, '"output":', 1, true)
  if not last then
    return false
  end
  local first = last + 1
  if string.byte(body, first) == 32 then
    first = first + 1
  end
  return string.sub(body, first, first + #expected - 1) == expected
end

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  wrk.method = "POST"
  wrk.path = "/predictions"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = read(arguments[1])
  expected = read(arguments[2])
end

function response(status, _, body)
  if status == 200 then
    if is_expected(body) then
      ok = ok + 1
    else
      wrong = wrong + 1
    end
  elseif status == 503 or status == 409 or status == 429 then
    refused = refused + 1
  else
    wrong = wrong + 1
  end
end

function done(summary, latency)
  local totals = { ok = 0, refused = 0, wrong = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(totals) do
      totals[name] = totals[name] + thread:get(name)
    end
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"seconds": %f, "ok": %d, "refused": %d, "wrong": %d, "errors": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.duration / 1e6, totals.ok, totals.refused, totals.wrong,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
