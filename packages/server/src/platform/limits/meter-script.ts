/**
 * The meters of `meters.ts` as one script; a test draws on both and compares. Numbers travel as text with 17 digits,
 * since Redis would cut fractions off.
 */
export const METER_SCRIPT = `
local verb, kind = ARGV[1], ARGV[2]
local requests, window, parts_of, now = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local state = {}
for number in string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+') do
  state[#state + 1] = tonumber(number)
end

local meter = {}

if kind == 'bucket' then
  local full, each = state[1] or 0, window / requests
  function meter.remaining() return math.max(0, math.floor((window - math.max(0, full - now)) / each + 0.0001)) end
  function meter.take() full = math.max(full, now) + each end
  function meter.give() full = full - each end
  function meter.reset() return math.max(full, now) end
  function meter.retry() return math.max(1, full + each - window - now) end
  function meter.state() return { full } end
elseif kind == 'day' then
  local day, count = state[1] or 0, state[2] or 0
  local today = math.floor(now / window)
  if today > day then day, count = today, 0 end
  function meter.remaining() return math.max(0, requests - count) end
  function meter.take() count = count + 1 end
  function meter.give() count = math.max(0, count - 1) end
  function meter.reset() return (day + 1) * window end
  function meter.retry() return (day + 1) * window - now end
  function meter.state() return { day, count } end
else
  local parts, total, at = {}, 0, 1
  while at <= #state and (now - state[at + 1] >= window or state[at + 2] == 0) do at = at + 3 end
  for i = at, #state do
    parts[#parts + 1] = state[i]
    if #parts % 3 == 0 then total = total + state[i] end
  end
  function meter.remaining() return math.max(0, requests - total) end
  function meter.take()
    local last = #parts - 2
    if last >= 1 and now - parts[last] < window / parts_of then
      parts[last + 1] = math.max(parts[last + 1], now)
      parts[last + 2] = parts[last + 2] + 1
    else
      for _, number in ipairs({ now, now, 1 }) do parts[#parts + 1] = number end
    end
    total = total + 1
  end
  function meter.give()
    local last = #parts
    while last >= 3 and parts[last] == 0 do last = last - 3 end
    if last >= 3 then
      parts[last] = parts[last] - 1
      total = total - 1
    end
  end
  function meter.reset() return #parts == 0 and now or parts[#parts - 1] + window end
  function meter.retry() return math.max(1, (parts[2] or now) + window - now) end
  function meter.state() return parts end
end

local given = 0
if verb == 'give' then
  meter.give()
  given = 1
elseif requests > 0 and meter.remaining() > 0 then
  meter.take()
  given = 1
end

local function text(number) return string.format('%.17g', number) end
if given == 1 then
  local words = {}
  for i, number in ipairs(meter.state()) do words[i] = text(number) end
  local keep = math.max(1, math.ceil(meter.reset() - now))
  if #words == 0 then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], table.concat(words, ' '), 'PX', keep) end
end
local retry = 0
if requests == 0 then retry = window elseif meter.remaining() == 0 then retry = meter.retry() end
return { tostring(given), text(requests == 0 and 0 or meter.remaining()), text(meter.reset()), text(retry) }
`;
