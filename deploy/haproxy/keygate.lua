-- HAProxy asks Keygate about a request: http-request lua.keygate ADDRESS
--
-- Sets the variable txn.keygate to "allow" and puts Keygate's identity headers into the request, or answers the client
-- itself. haproxy.cfg must refuse every request without that variable, because HAProxy goes on after an error in a script.

-- Of one try. HAProxy makes up to four.
local TIMEOUT_MS = 500

-- What Keygate tells of whom it lets in. An answer without one of them is none.
local IDENTITY = {
    "x-auth-token-id", "x-auth-subject", "x-auth-subject-type", "x-auth-customer-id", "x-auth-scopes", "x-auth-roles",
    "x-auth-expires", "x-request-id", "remote-user", "x-auth-request-user", "x-auth-jwt", "x-auth-stale",
}

-- What a refusal tells the client.
local TOLD = { "www-authenticate", "retry-after", "cache-control", "x-authz-status", "x-authz-reason", "x-authz-id" }

-- What belongs to one connection or to a body, and the question has no body.
local NOT_ASKED = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true,
    ["transfer-encoding"] = true, ["upgrade"] = true, ["content-length"] = true, ["expect"] = true, ["host"] = true,
    ["accept-encoding"] = true, ["x-forwarded-for"] = true, ["x-forwarded-proto"] = true, ["x-forwarded-host"] = true,
    ["x-forwarded-method"] = true, ["x-forwarded-uri"] = true,
}

-- What only a proxy may say, and the credential, which was for Keygate.
local NOT_PASSED_ON = {
    ["fastly-key"] = true, ["authorization"] = true, ["forwarded"] = true, ["x-real-ip"] = true,
    ["x-rewrite-url"] = true, ["remote-user"] = true, ["x-request-id"] = true,
}

-- X_Auth_Subject is X-Auth-Subject to many servers behind, so both are taken for one.
local function is_passed_on(name)
    local plain = name:lower():gsub("_", "-")
    return not (NOT_PASSED_ON[plain] or plain:find("^x%-auth%-") or plain:find("^x%-forwarded%-")
        or plain:find("^x%-original%-"))
end

local function refuse(txn, status, headers, body)
    local reply = txn:reply({ status = status })
    for name, value in pairs(headers) do
        reply:add_header(name, value)
    end
    reply:set_body(body)
    txn:done(reply)
end

local function cannot_tell(txn)
    refuse(txn, 503, { ["cache-control"] = "no-store", ["retry-after"] = "1" },
        "Cannot tell now whether you may; try again\n")
end

-- The one value of a header; of the lists that HAProxy gives, the first index is 0.
local function one(headers, name)
    local values = headers[name]
    if values == nil or values[0] == nil or values[1] ~= nil then
        return nil
    end
    return values[0]
end

local function question(txn, headers, host)
    local asked = {}
    for name, values in pairs(headers) do
        if not NOT_ASKED[name] and name ~= "x-request-id" then
            asked[name] = {}
            for place, value in pairs(values) do
                asked[name][place + 1] = value
            end
        end
    end
    asked["host"] = { "keygate" }
    asked["x-forwarded-method"] = { txn.f:method() }
    asked["x-forwarded-host"] = { host }
    asked["x-forwarded-uri"] = { txn.f:url() }
    asked["x-forwarded-for"] = { tostring(txn.f:src()) }
    return asked
end

-- Servers behind drop what Connection names, and that must not be what Keygate says. It may ask for another protocol.
local function plain_connection(txn, headers)
    local upgrade = false
    for _, value in pairs(headers["connection"] or {}) do
        upgrade = upgrade or value:lower():find("upgrade", 1, true) ~= nil
    end
    txn.http:req_del_header("connection")
    if upgrade and headers["upgrade"] ~= nil then
        txn.http:req_set_header("connection", "upgrade")
    end
end

local function let_in(txn, headers, answer, host)
    local identity = {}
    for _, name in ipairs(IDENTITY) do
        identity[name] = one(answer.headers, name)
        if identity[name] == nil then
            return false
        end
    end
    for name in pairs(headers) do
        if not is_passed_on(name) then
            txn.http:req_del_header(name)
        end
    end
    plain_connection(txn, headers)
    for name, value in pairs(identity) do
        txn.http:req_set_header(name, value)
    end
    txn.http:req_set_header("x-forwarded-for", tostring(txn.f:src()))
    txn.http:req_set_header("x-forwarded-host", host)
    txn.http:req_set_header("x-forwarded-proto", txn.f:ssl_fc() == 1 and "https" or "http")
    txn:set_var("txn.keygate", "allow")
    return true
end

core.register_action("keygate", { "http-req" }, function(txn, address)
    local headers = txn.http:req_get_headers()
    local host = one(headers, "host")
    if host == nil then
        return refuse(txn, 400, { ["cache-control"] = "no-store" }, "Send one Host\n")
    end
    local answer = core.httpclient():get({
        url = "http://127.0.0.1/authz/haproxy",
        dst = address,
        headers = question(txn, headers, host),
        timeout = TIMEOUT_MS,
    })
    if answer ~= nil and answer.status == 200 and let_in(txn, headers, answer, host) then
        return
    end
    -- Without this header it is no answer of Keygate's: HAProxy makes a 503 itself if nobody listens.
    if answer == nil or answer.headers == nil or one(answer.headers, "x-authz-status") == nil then
        return cannot_tell(txn)
    end
    local told = {}
    for _, name in ipairs(TOLD) do
        told[name] = one(answer.headers, name)
    end
    refuse(txn, answer.status, told, "")
end, 1)
