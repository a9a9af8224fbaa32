#!/usr/bin/env python3
"""Seeded generator of differential-test cases (see FORMAT.md). Standard library only.

usage: generate.py --seed N [--first N] [--count N] [--family F] [--max-nodes N]   -> JSON lines on stdout
"""
import argparse
import json
import random
import sys

FAMILIES = ["stateless", "windows", "sessions", "joins", "tables", "suppress",
            "processors", "naming", "errors", "versioned", "query", "cogroup", "mixed"]

# weights of the growth operators, by family
W = {
    "stateless": dict(filter=3, filterNot=2, map=3, mapValues=3, flatMap=2, flatMapValues=2, selectKey=2, peek=1,
                      merge=2, split=2, repartition=2, through=1, toDyn=1, foreach=1, toTable=1, count=1),
    "windows": dict(win=8, mapValues=1, filter=1, tfilter=1, tmapValues=1, selectKey=1, untable=2, merge=1, joinTT=1),
    "sessions": dict(sess=8, mapValues=1, filter=1, selectKey=1, untable=2, tmapValues=1, tfilter=1),
    "joins": dict(joinSS=7, joinST=4, joinSG=3, joinTT=3, joinFK=3, selectKey=1, mapValues=1, table=2, global_=1, stream=2,
                  untable=1, toTable=1, repartition=1, merge=1),
    "tables": dict(table=2, tfilter=3, tmapValues=3, tgroup=4, ttransform=1, joinTT=3, joinFK=2, untable=2, toTable=2,
                   count=2, reduce=2, aggregate=2),
    "suppress": dict(win=4, sess=2, suppress=6, count=2, untable=2, tfilter=1, tmapValues=1, table=1, tgroup=1),
    "processors": dict(process=6, processValues=4, route=1, selectKey=1, mapValues=1, repartition=1, merge=1, untable=1, count=1, ttransform=1,
                       globalStore=1),
    "naming": dict(filter=2, map=1, mapValues=2, selectKey=2, merge=1, split=1, repartition=2, count=3, reduce=1, aggregate=2,
                   joinSS=2, joinST=1, joinTT=1, joinFK=1, table=1, toTable=1, tfilter=1, tmapValues=1, tgroup=2, win=2, suppress=1,
                   untable=1),
    "errors": dict(filter=1, mapValues=2, failing=5, aggregate=1, count=1, joinSS=1, joinST=1, process=2, table=1, untable=1, through=1),
    "versioned": dict(vtable=4, joinST=5, tfilter=1, tmapValues=2, joinTT=2, tgroup=1, untable=2, vtoTable=2, joinFK=1, selectKey=1),
    "query": dict(count=2, aggregate=2, win=3, sess=2, table=2, vtable=1, process=1, toTable=1),
    "cogroup": dict(cogroup=8, untable=2, suppress=1, tfilter=1, tmapValues=1, selectKey=1),
}
W["mixed"] = {}
for _f, _w in W.items():
    if _f not in ("mixed", "errors"):
        for _o, _n in _w.items():
            W["mixed"][_o] = W["mixed"].get(_o, 0) + _n
W["mixed"]["failing"] = 1
# what a case of a family must hold; added at the end of growth when it is missing
MUST = {"windows": ["win"], "sessions": ["sess"], "joins": ["joinSS", "joinSS", "joinST", "joinSG", "joinTT", "joinFK"], "suppress": ["suppress"],
        "processors": ["process", "processValues", "route"], "cogroup": ["cogroup"], "versioned": ["joinST", "joinTT", "untable"],
        "tables": ["tgroup", "tfilter", "tmapValues", "joinTT", "joinFK"], "errors": ["failing"]}
I64MAX = (1 << 63) - 1
I64MIN = -(1 << 63)


class Skip(Exception):
    pass


class Node:
    def __init__(self, id, kind, k, v, **x):
        self.id, self.kind, self.k, self.v = id, kind, k, v
        self.used = False
        self.x = x


def windowed(t):
    return t.startswith("w(") or t.startswith("sw(")


class Gen:
    def __init__(self, rng, family, max_nodes):
        self.r = rng
        self.family = family
        self.max_nodes = max_nodes
        self.ops, self.nodes, self.topics, self.names = [], [], {}, set()
        self.stores = []          # (name, kind, ktype, window size)
        self.n = 0
        self.scale = 10
        self.cfg = {}
        self.source_of = {}
        self.names_p = 0.6 if family == "naming" else 0.15
        self.store_p = 0.6 if family in ("naming", "query") else 0.35
        self.outs = 0
        self.consts = set()

    # ---- helpers ----
    def chance(self, p):
        return self.r.random() < p

    def pick(self, *xs):
        return self.r.choice(xs)

    def weigh(self, pairs):
        xs = list(pairs)
        return self.r.choices([x for x, _ in xs], [w for _, w in xs])[0]

    def id(self, p="n"):
        self.n += 1
        return p + str(self.n)

    def name(self, stem):
        if self.family == "naming" and self.names and self.chance(0.01):
            return self.r.choice(sorted(self.names))
        for _ in range(20):
            s = stem + self.r.choice(["", "-a", "-b", ".c", "_d", "1", "2"])
            if s not in self.names:
                break
        else:
            s = stem + str(self.n)
        self.names.add(s)
        return s

    def maybe_name(self, op, stem):
        if self.chance(self.names_p):
            op["name"] = self.name(stem)

    def of(self, *kinds, pred=None):
        c = [n for n in self.nodes if n.kind in kinds and (pred is None or pred(n))]
        if not c:
            raise Skip
        fresh = [n for n in c if not n.used]
        n = self.r.choice(fresh) if fresh and self.chance(0.8) else self.r.choice(c)
        return n

    def add(self, op, node=None):
        self.ops.append(op)
        if node is not None:
            self.nodes.append(node)
        return node

    def emit(self, op, kind, k, v, ins, **x):
        for i in ins:
            i.used = True
        return self.add(op, Node(op["id"], kind, k, v, **x))

    # ---- functions ----
    def value_fn(self, k, v, keep=False):
        r = self.r
        c = [("id", v, 1), ("kv", "string", 2), ("kvnn", "string", 2), ("const:z", "string", .5), ("nullify", v, .2), ("hash", "i64", .3)]
        if v == "string":
            c += [("upper", v, 3), ("append:!", v, 3), ("pre:1", v, 2), ("len", "i64", 2), ("parse", "i64", 2),
                  ("shortNull:2", v, 2), ("orElse:d", v, 1), ("toBytes", "bytes", .2), ("showNull", v, .5)]
        elif v == "i64":
            c += [("inc:%d" % r.choice([1, -1, 7, I64MAX]), v, 4), ("mul:%d" % r.choice([2, -1, 0, 1 << 40]), v, 2), ("mod:%d" % r.choice([2, 3, 5]), v, 3),
                  ("oddNull", v, 2), ("show", "string", 2), ("toF64", "f64", .3), ("toI32", "i32", .3), ("orElseI:0", v, 1), ("constI:1", v, .5)]
        elif v == "f64":
            c += [("half", v, 2), ("trunc", "i64", 2), ("show", "string", 1)]
        elif v == "i32":
            c += [("toI64", "i64", 3), ("show", "string", 1)]
        else:
            c += [("show", "string", 3)]
        if self.family == "errors":
            c += [("boom", v, .2), ("failIf:a", v, .3)]
        if keep:
            c = [x for x in c if x[1] == v]
        f, t, _ = r.choices(c, [x[2] for x in c])[0]
        return f, t

    def key_fn(self, k, v, want=None):
        r = self.r
        c = [("key", k, 1.5), ("kshow", "string", 1), ("kpre:1", "string", 2), ("vpre:1", "string", 2), ("const:c", "string", .4),
             ("knull", k, .05), ("vshow", "string", 1)]
        if v in ("string", "i64"):
            c.append(("val", v, 2))
        if v == "i64":
            c += [("vmod:%d" % r.choice([2, 3]), "i64", 1), ("vmodS:%d" % r.choice([2, 3]), "string", 3)]
        if v == "string":
            c += [("vlen", "i64", .7), ("vparse", "i64", .5 if want is None else 1.5)]
        if windowed(k):
            inner = k[2:k.rindex(",")] if k.startswith("w(") else k[3:-1]
            c += [("unwin", inner, 6), ("wstart", "i64", 1)]
        if self.family == "errors":
            c.append(("kboom", k, .2))
        if want:
            c = [x for x in c if x[1] == want]
        if not c:
            raise Skip
        f, t, _ = r.choices(c, [x[2] for x in c])[0]
        return f, t

    def pred_fn(self, k, v):
        c = [("true", .3), ("false", .1), ("vnull", .4), ("vnotnull", 2), ("knotnull", 1), ("knull", .2), ("kHash:2,%d" % self.r.randrange(2), 2),
             ("vHash:3,%d" % self.r.randrange(3), 2), ("lenGt:1", 1), ("kEq:a", 1)]
        if v == "i64":
            c += [("even", 4), ("gt:%d" % self.r.choice([0, 1, 3, -2]), 4)]
        if v == "string":
            c += [("contains:a", 3), ("lenGt:%d" % self.r.choice([0, 1, 2]), 3), ("vEq:x", 1)]
        if self.family == "errors":
            c.append(("failIf:x", .5))
        return self.weigh(c)

    def joiner(self, l, r):
        c = [("cat", "string", 5), ("kcat", "string", 1), ("left", l, 1), ("right", r, 1), ("eqNull", "string", .7), ("null", "string", .1)]
        if l == "i64" and r == "i64":
            c.append(("sum", "i64", 4))
        if self.family == "errors":
            c.append(("boom", "string", .4))
        f, t, _ = self.r.choices(c, [x[2] for x in c])[0]
        return f, t

    def agg_fn(self, v):
        c = [("count", "i64", 1), ("cat", "string", 3), ("kcat", "string", 1), ("last", "string", 1)]
        if v == "i64":
            c += [("sum", "i64", 4), ("max", "i64", 2), ("sumZeroNull", "i64", 2)]
        f, t, _ = self.r.choices(c, [x[2] for x in c])[0]
        return f, t

    def reduce_fn(self, v):
        c = [("last", 2), ("first", 1)]
        if v == "i64":
            c += [("sum", 4), ("max", 2), ("min", 1), ("sumZeroNull", 1.5)]
        if v == "string":
            c += [("concat", 4)]
        if self.family == "errors":
            c += [("boom", .3)]
        return self.weigh(c)

    # ---- materialization ----
    def mat(self, op, kind, k, stem="st", p=None, versioned_ok=False):
        """kind: kv, window, session; adds op['mat'] sometimes. Returns the store name or None."""
        if not self.chance(self.store_p + 0.25 if p is None else p):
            return None
        m = {}
        if self.chance(0.75):
            m["name"] = self.name(stem)
        c = [("default", 6), ("memory", 2), ("rocks", .5)]
        if "name" in m:
            c += [("supplierMemory", 1), ("supplierRocks", .7)]
            if kind == "kv":
                c += [("supplierPlain", .3), ("lru:%d" % self.r.choice([2, 3]), .3)]
                if not windowed(k) and self.chance(.1):
                    c += [("versioned:%d" % self.r.choice([0, 10, 100, 1000]), 3)]
        s = self.weigh(c)
        if s != "default":
            m["store"] = s
        if self.chance(0.35):
            m["caching"] = self.chance(0.35)
        if self.chance(0.15):
            m["logging"] = self.chance(0.4)
        if kind in ("window", "session") and self.ops and self.ops[-1].get("emit") == "final":
            m["retention"] = 10000000
        elif kind in ("window", "session") and self.chance(0.15):
            m["retention"] = self.r.choice([1000, 100, 200000]) + self.scale * 4
        op["mat"] = m
        if "name" in m:
            self.stores.append((m["name"], "versioned" if s.startswith("versioned") else kind, k, op.get("_size", 0)))
        return m.get("name")

    # ---- sources ----
    def new_topic(self, k=None, v=None):
        t = "in%d" % (len(self.topics) + 1)
        k = k or self.weigh([("string", 9), ("i64", 1), ("i32", .1), ("f64", .05), ("bytes", .1)])
        v = v or self.weigh([("string", 5), ("i64", 6), ("f64", .2), ("i32", .15), ("bytes", .1)])
        self.topics[t] = {"key": k, "value": v}
        return t, k, v

    def src_opts(self, op, v):
        if self.chance(0.08):
            c = ["fail", "logskip", "usepart", "offset:%d" % self.r.choice([-5, 3, 10]), "const:7", "partition"]
            if v == "i64":
                c += ["value", "value"]
            if v == "string":
                c.append("vparse")
            if self.family == "errors":
                c.append("boom")
            op["ts"] = self.r.choice(c)
        self.maybe_name(op, "src")

    def g_stream(self, k=None, v=None):
        if len(self.topics) >= 5:
            raise Skip
        if self.topics and self.chance(0.06):
            # the same topic again: merged or refused by the library
            t = self.r.choice(sorted(self.topics))
            k, v = self.topics[t]["key"], self.topics[t]["value"]
            ts = [t]
        else:
            t, k, v = self.new_topic(k, v)
            ts = [t]
            if self.chance(0.12):
                t2, _, _ = self.new_topic(k, v)
                ts.append(t2)
        op = {"id": self.id("s"), "op": "stream", "topics": ts, "key": k, "value": v}
        if len(ts) == 1 and self.chance(0.05):
            p = ts[0]
            del op["topics"]
            op["pattern"] = p + "|" + p + "x.*"
        self.src_opts(op, v)
        if self.chance(.03):
            op["reset"] = self.r.choice(["earliest", "latest"])
        return self.emit(op, "stream", k, v, [])

    def g_table(self, k=None, v=None):
        if len(self.topics) >= 5:
            raise Skip
        if self.topics and k is None and v is None and self.chance(.03):
            # the same topic again: refused by the library, or shared
            t = self.r.choice(sorted(self.topics))
            k, v = self.topics[t]["key"], self.topics[t]["value"]
        else:
            t, k, v = self.new_topic(k, v)
        op = {"id": self.id("t"), "op": "table", "topic": t, "key": k, "value": v}
        self.mat(op, "kv", k, "tab")
        self.src_opts(op, v)
        return self.emit(op, "table", k, v, [])

    def g_vtable(self, k=None, v=None):
        if len(self.topics) >= 5:
            raise Skip
        t, k, v = self.new_topic(k, v)
        op = {"id": self.id("t"), "op": "table", "topic": t, "key": k, "value": v,
              "mat": {"name": self.name("ver"), "store": "versioned:%d" % self.r.choice([10, 30, 100, 1000, 0])}}
        self.stores.append((op["mat"]["name"], "versioned", k, 0))
        self.src_opts(op, v)
        return self.emit(op, "table", k, v, [], versioned=True)

    def g_vtoTable(self):
        n = self.of("stream", pred=lambda n: not windowed(n.k))
        op = {"id": self.id(), "op": "toTable", "in": n.id,
              "mat": {"name": self.name("vto"), "store": "versioned:%d" % self.r.choice([10, 100, 1000])}}
        self.stores.append((op["mat"]["name"], "versioned", n.k, 0))
        return self.emit(op, "table", n.k, n.v, [n], versioned=True)

    def g_global_(self):
        if len(self.topics) >= 5:
            raise Skip
        t, k, v = self.new_topic()
        op = {"id": self.id("g"), "op": "globalTable", "topic": t, "key": k, "value": v}
        if self.chance(0.5):
            self.mat(op, "kv", k, "glo", p=1)
            op["mat"].pop("logging", None)
            if "name" not in op["mat"]:
                op["mat"]["name"] = self.name("glo")
        if self.chance(.3):
            self.src_opts(op, v)
        return self.emit(op, "global", k, v, [])

    def g_globalStore(self):
        if len(self.topics) >= 5:
            raise Skip
        t, k, v = self.new_topic()
        op = {"id": self.id("gs"), "op": "globalStore", "name": self.name("gstore"), "topic": t, "kind": "kv", "key": k, "value": v,
              "memory": self.chance(.5)}
        if self.chance(.2):
            op["kind"] = self.r.choice(["lru", "tskv"])
            op.update({"proc": "tskv"} if op["kind"] == "tskv" else {"max": self.r.choice([2, 4])})
        elif self.chance(.3):
            op["proc"] = self.r.choice(["kvput", "kvdel", "kvabsent", "dedup", "gput"])
        self.stores.append((op["name"], "kv", k, 0))
        self.add(op)

    # ---- stateless ----
    def g_filter(self, what="filter"):
        n = self.of("stream")
        op = {"id": self.id(), "op": what, "in": n.id, "fn": self.pred_fn(n.k, n.v)}
        self.maybe_name(op, "flt")
        return self.emit(op, "stream", n.k, n.v, [n])

    def g_filterNot(self):
        return self.g_filter("filterNot")

    def g_map(self):
        n = self.of("stream")
        kf, kt = self.key_fn(n.k, n.v)
        vf, vt = self.value_fn(n.k, n.v)
        op = {"id": self.id(), "op": "map", "in": n.id, "k": kf, "v": vf}
        self.maybe_name(op, "map")
        return self.emit(op, "stream", kt, vt, [n])

    def g_mapValues(self):
        n = self.of("stream")
        f, t = self.value_fn(n.k, n.v)
        op = {"id": self.id(), "op": "mapValues", "in": n.id, "fn": f}
        self.maybe_name(op, "mv")
        return self.emit(op, "stream", n.k, t, [n])

    def g_flatMap(self):
        n = self.of("stream")
        fan = []
        kt = vt = None
        for _ in range(self.r.choice([0, 1, 2, 2, 3])):
            for _ in range(20):
                kf, k2 = self.key_fn(n.k, n.v)
                vf, v2 = self.value_fn(n.k, n.v)
                if kt is None or (k2 == kt and v2 == vt):
                    kt, vt = k2, v2
                    fan.append({"k": kf, "v": vf})
                    break
        op = {"id": self.id(), "op": "flatMap", "in": n.id, "fan": fan}
        self.maybe_name(op, "fm")
        return self.emit(op, "stream", kt or n.k, vt or n.v, [n])

    def g_flatMapValues(self):
        n = self.of("stream")
        c = ["dup:2", "dup:0", "dup:3"]
        if n.v == "string":
            c += ["words"] * 4 + ["chars"] * 2
        if n.v == "i64":
            c += ["upto:4"] * 4
        op = {"id": self.id(), "op": "flatMapValues", "in": n.id, "fn": self.r.choice(c)}
        self.maybe_name(op, "fmv")
        return self.emit(op, "stream", n.k, n.v, [n])

    def g_selectKey(self):
        n = self.of("stream")
        f, t = self.key_fn(n.k, n.v)
        op = {"id": self.id(), "op": "selectKey", "in": n.id, "fn": f}
        self.maybe_name(op, "sk")
        return self.emit(op, "stream", t, n.v, [n])

    def g_peek(self):
        n = self.of("stream")
        op = {"id": self.id(), "op": "peek", "in": n.id}
        self.maybe_name(op, "pk")
        return self.emit(op, "stream", n.k, n.v, [n])

    def g_foreach(self):
        n = self.of("stream")
        op = {"id": self.id(), "op": "foreach", "in": n.id}
        self.maybe_name(op, "fe")
        n.used = True
        self.add(op)

    def g_merge(self):
        l = self.of("stream")
        c = [n for n in self.nodes if n.kind == "stream" and n is not l and n.k == l.k and n.v == l.v]
        r = self.r.choice(c) if c else (self.g_stream(l.k, l.v) if l.k in ("string", "i64") and l.v in ("string", "i64", "f64") else None)
        if r is None or r.k != l.k or r.v != l.v:
            raise Skip
        op = {"id": self.id(), "op": "merge", "in": [l.id, r.id]}
        self.maybe_name(op, "mg")
        return self.emit(op, "stream", l.k, l.v, [l, r])

    def g_split(self):
        n = self.of("stream")
        i = self.id("b")
        br = []
        for _ in range(self.r.choice([1, 2, 2, 3])):
            b = {"fn": self.pred_fn(n.k, n.v)}
            if self.chance(0.3):
                b["name"] = self.name("-br")
            br.append(b)
        op = {"id": i, "op": "split", "in": n.id, "branches": br,
              "default": self.r.choice([True, True, False, "rest"])}
        if op["default"] == "rest":
            op["default"] = self.name("rest")
        if self.chance(max(self.names_p, .3)):
            op["name"] = self.name("split")
        n.used = True
        self.add(op)
        for j in range(len(br)):
            self.nodes.append(Node("%s.%d" % (i, j), "stream", n.k, n.v))
        if op["default"] is not False:
            self.nodes.append(Node("%s.d" % i, "stream", n.k, n.v))

    def g_repartition(self):
        n = self.of("stream", pred=lambda n: not windowed(n.k))
        op = {"id": self.id(), "op": "repartition", "in": n.id}
        if self.chance(0.3):
            op["partitions"] = self.r.choice([1, 2, 4])
        if self.chance(0.2):
            op["partitioner"] = self.r.choice(["zero", "none", "hash", "dropEven", "all", "drop"])
        self.maybe_name(op, "rep")
        return self.emit(op, "stream", n.k, n.v, [n])

    def sink(self, n, topic, plain=False):
        op = {"id": self.id("o"), "op": "to", "in": n.id, "topic": topic}
        if not plain and self.chance(0.06):
            op["partitioner"] = self.r.choice(["zero", "none", "drop", "dropEven", "hash", "all"])
        self.maybe_name(op, "snk")
        n.used = True
        self.add(op)

    def g_through(self):
        n = self.of("stream", pred=lambda n: not windowed(n.k) and n.k != "f64")
        t = "mid%d" % self.n
        self.sink(n, t, True)
        if self.chance(0.6):
            op = {"id": self.id("s"), "op": "stream", "topics": [t], "key": n.k, "value": n.v}
            return self.emit(op, "stream", n.k, n.v, [])
        op = {"id": self.id("t"), "op": "table", "topic": t, "key": n.k, "value": n.v}
        self.mat(op, "kv", n.k, "thr")
        return self.emit(op, "table", n.k, n.v, [])

    def g_toDyn(self):
        if any(o.get("extractor") for o in self.ops):
            raise Skip
        n = self.of("stream")
        op = {"id": self.id("o"), "op": "to", "in": n.id, "extractor": self.r.choice(["parity:dyn", "topic:dyn"] + (["key:dyn"] if n.k == "i64" else []))}
        n.used = True
        self.add(op)

    def g_toTable(self):
        n = self.of("stream")
        op = {"id": self.id(), "op": "toTable", "in": n.id}
        self.maybe_name(op, "tt")
        self.mat(op, "kv", n.k, "ttab")
        return self.emit(op, "table", n.k, n.v, [n])

    def g_untable(self):
        n = self.of("table")
        op = {"id": self.id(), "op": "toStream", "in": n.id}
        k = n.k
        if self.chance(0.5 if windowed(k) else 0.15):
            op["fn"], k = self.key_fn(n.k, n.v)
        self.maybe_name(op, "ts")
        return self.emit(op, "stream", k, n.v, [n])

    # ---- grouping ----
    def grouped(self, k_ok=None):
        n = self.of("stream", pred=lambda n: k_ok is None or n.k == k_ok or self.chance(.5))
        op = {"id": self.id("gr")}
        if (k_ok is None and self.chance(0.5)) or n.k == k_ok:
            op.update(op="groupByKey", **{"in": n.id})
            k = n.k
        else:
            f, k = self.key_fn(n.k, n.v, k_ok)
            op.update(op="groupBy", **{"in": n.id, "fn": f})
        self.maybe_name(op, "grp")
        n.used = True
        self.add(op)
        return Node(op["id"], "grouped", k, n.v)

    def finish(self, g, kind, out_k, n_k, allow=("count", "reduce", "aggregate"), what=None, size=0):
        what = what or self.r.choice(allow)
        op = {"id": self.id(), "op": what, "in": g.id, "_size": size}
        if what == "count":
            v = "i64"
        elif what == "reduce":
            op["fn"] = self.reduce_fn(g.v)
            v = g.v
        elif g.kind == "cogroup":
            v = g.v
        else:
            op["fn"], v = self.agg_fn(g.v)
        named = self.chance(self.names_p)
        plain = g.kind == "grouped" and what != "count"
        final = self.ops and self.ops[-1].get("emit") == "final"
        self.mat(op, kind, n_k, "agg", p=1 if final or (named and (plain or g.kind == "gtable")) else None)
        if named:
            op["name"] = self.name("ag")
        if kind == "session" and final and op.get("mat", {}).get("store") in ("supplierRocks", "supplierPlain"):
            op["mat"]["store"] = "rocks"
        del op["_size"]
        return self.emit(op, "table", out_k, v, [], agg=True)

    def g_count(self):
        g = self.grouped()
        return self.finish(g, "kv", g.k, g.k, what="count")

    def g_reduce(self):
        g = self.grouped()
        return self.finish(g, "kv", g.k, g.k, what="reduce")

    def g_aggregate(self):
        g = self.grouped()
        return self.finish(g, "kv", g.k, g.k, what="aggregate")

    def window(self, sliding=True, unlimited=True):
        r = self.r
        t = self.weigh([("tumbling", 4), ("hopping", 4), ("sliding", 3 if sliding else 0), ("unlimited", .3 if unlimited else 0)])
        if t == "unlimited":
            w = {"type": t}
            if self.chance(.5):
                w["start"] = r.choice([0, 3, 10])
            return w, I64MAX
        size = r.choice([1, 2, 3, 5, 10, 10, 20, 100])
        self.scale = max(self.scale, size)
        w = {"type": t}
        if t == "sliding":
            w["diff"] = size
        else:
            w["size"] = size
            if t == "hopping":
                w["advance"] = r.randint(1, size) if size <= 10 else r.choice([size, size // 2, size // 4 or 1])
        if self.chance(0.75):
            w["grace"] = r.choice([0, 1, 3, 5, 10, size, 3 * size])
        self.consts.update([size, w.get("grace", 0), size + w.get("grace", 0), w.get("advance", size)])
        return w, size

    def g_win(self, cog=None):
        g = cog or self.grouped()
        if windowed(g.k):
            raise Skip
        w, size = self.window()
        op = {"id": self.id("w"), "op": "windowedBy", "in": g.id, "window": w}
        if cog is None and self.chance(0.3) and w["type"] != "unlimited":
            op["emit"] = self.r.choice(["final", "final", "update"])
        self.add(op)
        g2 = Node(op["id"], "cogroup" if cog else "win", g.k, g.v)
        return self.finish_w(g2, "window", "w(%s,%d)" % (g.k, size), g.k, size, cog)

    def finish_w(self, g, kind, out_k, n_k, size, cog):
        n = self.finish(g, kind, out_k, n_k, what="aggregate" if cog else None, size=size)
        n.x["final"] = self.ops[-2].get("emit") == "final" if self.ops[-2]["op"] == "windowedBy" else False
        return n

    def g_sess(self, cog=None):
        g = cog or self.grouped()
        if windowed(g.k):
            raise Skip
        gap = self.r.choice([1, 2, 5, 10, 10, 0])
        w = {"type": "session", "gap": gap}
        self.scale = max(self.scale, gap)
        if self.chance(0.7):
            w["grace"] = self.r.choice([0, 1, 5, 10, 50])
        self.consts.update([gap, w.get("grace", 0), gap + w.get("grace", 0), 2 * gap])
        op = {"id": self.id("w"), "op": "windowedBy", "in": g.id, "window": w}
        if cog is None and self.chance(0.25):
            op["emit"] = self.r.choice(["final", "final", "update"])
        self.add(op)
        g2 = Node(op["id"], "cogroup" if cog else "sess", g.k, g.v)
        return self.finish_w(g2, "session", "sw(%s)" % g.k, g.k, gap, cog)

    def g_cogroup(self):
        g1 = self.grouped()
        if windowed(g1.k):
            raise Skip
        f1, t1 = self.agg_fn(g1.v)
        ins, fns = [g1], [f1]
        for _ in range(self.r.choice([0, 1, 1, 2])):
            try:
                g = self.grouped(g1.k)
            except Skip:
                continue
            for _ in range(20):
                f, t = self.agg_fn(g.v)
                if t == t1 and g.k == g1.k:
                    ins.append(g)
                    fns.append(f)
                    break
            else:
                self.nodes.append(g)
        op = {"id": self.id("cg"), "op": "cogroup", "in": [g.id for g in ins], "fns": fns}
        self.add(op)
        c = Node(op["id"], "cogroup", g1.k, t1)
        x = self.r.random()
        if x < .4:
            return self.finish(c, "kv", g1.k, g1.k, what="aggregate")
        if x < .75:
            return self.g_win(c)
        return self.g_sess(c)

    # ---- tables ----
    def g_tfilter(self):
        n = self.of("table")
        op = {"id": self.id(), "op": self.r.choice(["filter", "filter", "filterNot"]), "in": n.id, "fn": self.pred_fn(n.k, n.v)}
        self.maybe_name(op, "tf")
        self.mat(op, "kv", n.k, "tfs", p=.35)
        return self.emit(op, "table", n.k, n.v, [n], agg=n.x.get("agg"))

    def g_tmapValues(self):
        n = self.of("table")
        f, t = self.value_fn(n.k, n.v)
        op = {"id": self.id(), "op": "mapValues", "in": n.id, "fn": f}
        self.maybe_name(op, "tmv")
        self.mat(op, "kv", n.k, "tmvs", p=.35)
        return self.emit(op, "table", n.k, t, [n])

    def g_ttransform(self):
        n = self.of("table")
        op = {"id": self.id(), "op": "transformValues", "in": n.id, "proc": self.r.choice(["tvkv", "tvkv", "tvnull", "tvcount"])}
        if op["proc"] == "tvcount":
            if windowed(n.k):
                raise Skip
            op["stores"] = [self.proc_store("kv", n.k, "i64")]
        self.maybe_name(op, "tv")
        self.mat(op, "kv", n.k, "tvs", p=.35)
        return self.emit(op, "table", n.k, "string", [n])

    def g_tgroup(self):
        n = self.of("table")
        kf, kt = self.key_fn(n.k, n.v)
        vf, vt = self.value_fn(n.k, n.v)
        op = {"id": self.id("gr"), "op": "groupBy", "in": n.id, "k": kf, "v": vf}
        self.maybe_name(op, "tg")
        n.used = True
        self.add(op)
        g = Node(op["id"], "gtable", kt, vt)
        what = self.r.choice(["count", "aggregate", "reduce"])
        op2 = {"id": self.id(), "op": what, "in": g.id}
        if what == "count":
            v = "i64"
        elif what == "reduce":
            pairs = [("last", "first"), ("max", "first")] if vt == "i64" else [("last", "first")]
            if vt == "i64":
                pairs += [("sum", "sub")] * 4 + [("sumZeroNull", "sub")]
            if vt == "string":
                pairs += [("concat", "unconcat")] * 3
            op2["fn"], op2["sub"] = self.r.choice(pairs)
            v = vt
            if op2["fn"] == "max" and vt != "i64":
                raise Skip
        else:
            op2["fn"], v = self.agg_fn(vt)
        named = self.chance(self.names_p)
        self.mat(op2, "kv", kt, "tga", p=1 if named and what == "reduce" else None)
        if named:
            op2["name"] = self.name("tga")
        return self.emit(op2, "table", kt, v, [])

    def g_suppress(self):
        n = self.of("table")
        op = {"id": self.id(), "op": "suppress", "in": n.id}
        if windowed(n.k) and self.chance(0.7) or (not windowed(n.k) and self.chance(0.02)):
            op["until"] = "close"
            x = self.r.random()
            if x < .15:
                op["buffer"] = {"records": self.r.choice([1, 2, 3, 100]), "full": "shutdown"}
            elif x < .2:
                op["buffer"] = {"bytes": self.r.choice([50, 300, 100000]), "full": "shutdown"}
        else:
            op["until"] = self.r.choice([0, 1, 5, 10, 20, 1000])
            self.consts.add(op["until"])
            x = self.r.random()
            if x < .3:
                op["buffer"] = {"records": self.r.choice([1, 2, 3]), "full": "emit"}
            elif x < .4:
                op["buffer"] = {"bytes": self.r.choice([100, 200, 500]), "full": "emit"}
            elif x < .5:
                op["buffer"] = {"records": self.r.choice([2, 5]), "full": "shutdown"}
        if self.chance(.1):
            op.setdefault("buffer", {})["logging"] = self.chance(.4)
        self.maybe_name(op, "sup")
        return self.emit(op, "table", n.k, n.v, [n])

    # ---- joins ----
    def other(self, kinds, k, make):
        c = [n for n in self.nodes if n.kind in kinds and n.k == k]
        if c and self.chance(0.7):
            return self.r.choice(c)
        if k not in ("string", "i64"):
            if c:
                return self.r.choice(c)
            raise Skip
        return make(k)

    def join_window(self):
        d = self.r.choice([0, 1, 5, 5, 10, 10, 20, 100])
        self.scale = max(self.scale, d)
        w = {"diff": d}
        if self.chance(0.25):
            w["before"] = self.r.choice([0, 1, 5, 20])
        if self.chance(0.25):
            w["after"] = self.r.choice([0, 1, 5, 20])
        if self.chance(0.75):
            w["grace"] = self.r.choice([0, 1, 5, 10, 100])
        self.consts.update([d, w.get("before", d), w.get("after", d), w.get("grace", 0), w.get("before", d) + w.get("after", d), w.get("after", d) + w.get("grace", 0)])
        return w

    def g_joinSS(self):
        l = self.of("stream", pred=lambda n: not windowed(n.k))
        r = l if self.chance(0.04) else self.other(["stream"], l.k, lambda k: self.g_stream(k))
        if r.k != l.k:
            raise Skip
        f, v = self.joiner(l.v, r.v)
        op = {"id": self.id("j"), "op": "joinSS", "kind": self.r.choice(["inner", "left", "outer"]), "in": [l.id, r.id], "fn": f,
              "window": self.join_window()}
        self.maybe_name(op, "jss")
        if self.chance(0.15):
            op["storeName"] = self.name("jst")
        if self.chance(0.15):
            op["store"] = self.r.choice(["memory", "rocks"])
        if self.chance(0.06):
            op["logging"] = self.chance(.5)
        return self.emit(op, "stream", l.k, v, [l, r])

    def g_joinST(self):
        l = self.of("stream")
        mk = (lambda k: self.g_vtable(k)) if self.family == "versioned" else (lambda k: self.g_table(k))
        r = self.other(["table"], l.k, mk)
        f, v = self.joiner(l.v, r.v)
        op = {"id": self.id("j"), "op": "joinST", "kind": self.r.choice(["inner", "left"]), "in": [l.id, r.id], "fn": f}
        if r.x.get("versioned") and self.chance(0.5) or self.chance(0.02):
            op["grace"] = self.r.choice([0, 1, 5, 10])
        self.maybe_name(op, "jst")
        return self.emit(op, "stream", l.k, v, [l, r])

    def g_joinSG(self):
        c = [n for n in self.nodes if n.kind == "global"]
        if c and self.chance(.7):
            r = self.r.choice(c)
        else:
            r = self.g_global_()
        l = self.of("stream")
        kf, _ = self.key_fn(l.k, l.v, r.k)
        f, v = self.joiner(l.v, r.v)
        op = {"id": self.id("j"), "op": "joinSG", "kind": self.r.choice(["inner", "left"]), "in": [l.id, r.id], "key": kf, "fn": f}
        self.maybe_name(op, "jsg")
        return self.emit(op, "stream", l.k, v, [l, r])

    def g_joinTT(self):
        mk = (lambda k: self.g_vtable(k)) if self.family == "versioned" and self.chance(.6) else (lambda k: self.g_table(k))
        if not any(n.kind == "table" for n in self.nodes):
            self.g_table()
        l = self.of("table")
        r = self.other(["table"], l.k, mk)
        f, v = self.joiner(l.v, r.v)
        if f == "kcat":
            f = "cat"
        op = {"id": self.id("j"), "op": "joinTT", "kind": self.r.choice(["inner", "left", "outer"]), "in": [l.id, r.id], "fn": f}
        self.maybe_name(op, "jtt")
        self.mat(op, "kv", l.k, "jtts", p=.35)
        return self.emit(op, "table", l.k, v, [l, r])

    def g_joinFK(self):
        if not any(n.kind == "table" for n in self.nodes):
            self.g_table()
        l = self.of("table", pred=lambda n: not windowed(n.k))
        c = [n for n in self.nodes if n.kind == "table" and n.k in ("string", "i64") and n is not l]
        r = self.r.choice(c) if c and self.chance(.6) else self.g_table()
        kf, _ = self.key_fn(l.k, l.v, r.k)
        f, v = self.joiner(l.v, r.v)
        if f == "kcat":
            f = "cat"
        op = {"id": self.id("j"), "op": "joinFK", "kind": self.r.choice(["inner", "left"]), "in": [l.id, r.id], "fk": kf, "fn": f}
        self.maybe_name(op, "jfk")
        if self.chance(.1):
            op["partitioner"] = self.r.choice(["zero", "none", "hash"])
        self.mat(op, "kv", l.k, "jfks", p=.35)
        return self.emit(op, "table", l.k, v, [l, r])

    # ---- processors ----
    def proc_store(self, kind, k, v, **x):
        s = {"id": self.id("st"), "op": "store", "name": self.name("pst"), "kind": kind, "key": k, "value": v}
        s.update(x)
        if kind in ("kv", "tskv", "window") and self.chance(.4):
            s["memory"] = True
        if self.chance(0.3) and kind != "versioned":
            s["caching"] = self.chance(.5)
        if self.chance(0.2):
            s["logging"] = self.chance(.3)
        self.ops.append(s)
        self.stores.append((s["name"], {"tskv": "kv"}.get(kind, kind), k, x.get("windowSize", 0)))
        return s["name"]

    def kv_store(self, k, v):
        """A new store, or one that another processor has."""
        own = {s["name"] for o in self.ops for s in o.get("ownStores", [])}
        old = [o["name"] for o in self.ops if o["op"] == "store" and o["kind"] in ("kv", "lru") and (o["key"], o["value"]) == (k, v)
               and o["name"] not in own]
        if old and self.chance(.3):
            return self.r.choice(old)
        if self.chance(.1):
            return self.proc_store("lru", k, v, max=self.r.choice([1, 2, 4]))
        return self.proc_store("kv", k, v)

    def g_process(self, values=False):
        n = self.of("stream", pred=lambda n: not windowed(n.k) or self.chance(.3))
        r = self.r
        c = ["pass", "drop", "twice", "commit", "hdrAdd:h=%d" % r.randrange(3), "hdrAdd:x=y", "hdrDel:h", "hdrShow", "hdrShow", "meta", "meta",
             "times", "tsShift:%d" % r.choice([-3, 5]), "dedup", "dedup", "counter", "counter", "kvput", "kvput", "kvdel", "kvabsent", "kvall", "tskv", "win:5,5", "ver:3"]
        if not values:
            k = r.choice(["stream", "wall"])
            ms = r.choice([1, 5, 10, 10])
            c += ["countTick:%s,%d" % (k, ms)] * 3 + ["tickOnce:%s,%d" % (k, ms), "flushTick:%s,%d" % (k, ms), "flushTick:%s,%d" % (k, ms),
                                                      "anchorTick:%s,%d,%d" % (k, r.choice([0, 3, 17]), ms), "tsRaw:-4"]
        if windowed(n.k):
            c = ["pass", "drop", "twice", "commit", "hdrAdd:x=y", "hdrShow", "meta", "times", "tsShift:5"]
        spec = r.choice(c)
        b = spec.split(":")[0]
        op = {"id": self.id("p"), "op": "processValues" if values else "process", "in": n.id, "proc": spec}
        k, v = n.k, n.v
        if b in ("dedup", "kvput", "kvdel", "kvabsent", "kvall", "flushTick"):
            op["stores"] = [self.kv_store(k, v)]
        elif b == "counter":
            op["stores"] = [self.kv_store(k, "i64")]
        elif b == "tskv":
            op["stores"] = [self.proc_store("tskv", k, v)]
        elif b == "win":
            op["stores"] = [self.proc_store("window", k, v, retention=r.choice([20, 1000]), windowSize=5)]
            if self.chance(.3):
                self.ops[-1]["dup"] = True
        elif b == "ver":
            op["stores"] = [self.proc_store("versioned", k, v, history=r.choice([5, 20, 1000]))]
        if b in ("countTick", "tickOnce", "anchorTick"):
            k, v = "string", "i64"
        elif b == "counter":
            v = "i64"
        elif b in ("kvput", "kvdel", "kvabsent", "kvall", "tskv", "win", "ver", "hdrShow", "meta", "times"):
            v = "string"
        users = sum(op["stores"][0] in o.get("stores", []) for o in self.ops) if "stores" in op else 0
        if not values and b in ("dedup", "counter", "kvput") and not users and self.chance(.25):
            # the store comes with the processor's supplier
            st = next(o for o in self.ops if o.get("name") == op["stores"][0] and o["op"] == "store")
            self.ops.remove(st)
            op["ownStores"] = [{x: y for x, y in st.items() if x not in ("id", "op")}]
        self.maybe_name(op, "prc")
        return self.emit(op, "stream", k, v, [n])

    def g_processValues(self):
        return self.g_process(True)

    def g_route(self):
        n = self.of("stream", pred=lambda n: not windowed(n.k))
        a, b = self.name("kidA"), self.name("kidB")
        p = {"id": self.id("p"), "op": "process", "in": n.id, "proc": "route:%s,%s" % (a, b if not self.chance(.03) else "nokid")}
        self.maybe_name(p, "rt")
        n.used = True
        self.add(p)
        for x in (a, b):
            f, t = self.value_fn(n.k, n.v)
            op = {"id": self.id(), "op": "mapValues", "in": p["id"], "fn": f, "name": x}
            self.add(op, Node(op["id"], "stream", n.k, t))

    def g_failing(self):
        n = self.of("stream")
        x = self.r.random()
        bad = self.r.choice(["3", "x", "a", "null"])
        if x < .4:
            op = {"id": self.id(), "op": "mapValues", "in": n.id, "fn": "failIf:" + bad}
        elif x < .6:
            op = {"id": self.id(), "op": "filter", "in": n.id, "fn": "failIf:" + bad}
        elif x < .85:
            op = {"id": self.id(), "op": self.r.choice(["process", "processValues"]), "in": n.id, "proc": "failIf:" + bad}
        else:
            g = self.grouped()
            op = {"id": self.id(), "op": "aggregate", "in": g.id, "fn": "boomIf:" + bad}
            return self.emit(op, "table", g.k, "i64", [])
        return self.emit(op, "stream", n.k, n.v, [n])

    # ---- inputs ----
    def key_val(self, t, null_p):
        if self.chance(null_p):
            return None
        if t == "string":
            return self.weigh([("a", 5), ("b", 4), ("c", 2), ("ab", 1), ("", .2), ("é", .1)])
        if t == "i32":
            return self.weigh([(1, 4), (2, 3), (0, 1), (-1, .7), (2147483647, .1)])
        if t == "f64":
            return self.weigh([(1.0, 4), (0.0, 2), (2.5, 2)])
        if t == "bytes":
            return self.weigh([("61", 4), ("62", 3), ("", .5), ("00ff", 1)])
        return self.weigh([(1, 4), (2, 3), (0, 1), (-1, .7), (I64MAX, .1)])

    def val(self, t, null_p):
        if self.chance(null_p):
            return None
        if t == "string":
            return self.weigh([("x", 4), ("y", 3), ("a", 3), ("b", 2), ("a b", 2), ("ab", 1), ("7", 1), ("12", 1), ("", .4), ("ünï", .2)])
        if t == "i64":
            return self.weigh([(self.r.randint(-2, 6), 20), (3, 2), (I64MAX, .15), (I64MIN, .15), (self.r.randint(-1000, 1000), 1)])
        if t == "i32":
            return self.r.randint(-5, 5)
        if t == "f64":
            return self.r.choice([0.5, 1.0, -2.25, 3.0])
        return self.weigh([("6162", 3), ("", .3), ("00", 1), ("61", 1)])

    def steps(self):
        r = self.r
        tops = sorted(self.topics)
        n = r.choice([3, 5, 8, 12, 18, 25])
        null_p = r.choice([0, .05, .1, .2])
        knull_p = r.choice([0, 0, 0, .05, .15])
        sc = self.scale
        mode = self.weigh([("jitter", 5), ("mono", 3), ("edges", 4), ("equal", 1), ("jumps", 1.5)])
        t = r.choice([0, 0, sc, 1000, 100000])
        cs = sorted(x for x in self.consts if x <= 1000) or [sc]
        top = t
        out = []
        for i in range(n):
            if self.chance(0.08):
                out.append({"wall": r.choice([0, 1, 5, 10, 37, 100000])})
                continue
            if mode == "mono":
                t += r.choice([0, 1, 2, sc // 2, sc])
                ts = t
            elif mode == "jitter":
                t += r.choice([0, 1, 3, sc // 2])
                ts = t + r.choice([0, 0, 0, -1, -sc // 2, -sc, -2 * sc, 1])
            elif mode == "edges":
                if self.chance(.5):
                    t += r.choice([0, 0, sc, 1])
                    ts = (t // sc) * sc + r.choice([0, -1, 1, -sc, -sc - 1, sc - 1, sc])
                else:
                    ts = top + r.choice([-1, -1, 1]) * r.choice(cs) + r.choice([-1, 0, 0, 1])
                    t = max(t, ts)
            elif mode == "equal":
                ts = t
            else:
                t += r.choice([0, 1, sc, 10 * sc, 61000, 200000]) if self.chance(.5) else 1
                ts = t - r.choice([0, 0, 0, sc, 3 * sc, 70000, 130000])
            ts = max(0, ts)
            top = max(top, ts)
            if self.chance(0.002 if self.family != "errors" else .01):
                ts = -r.choice([1, 5])
            topic = r.choice(tops)
            d = self.topics[topic]
            s = {"pipe": topic, "k": self.key_val(d["key"], knull_p), "v": self.val(d["value"], null_p), "t": ts}
            if self.chance(0.1):
                s["h"] = [["h%d" % r.randrange(2), r.choice(["1", "2", None, ""])] for _ in range(r.choice([1, 1, 2]))]
            if self.family == "errors" and self.chance(.15) and d["value"] == "i64":
                s["vx"] = "00ff"
            if self.family == "errors" and self.chance(.1) and d["key"] == "i64":
                s["kx"] = "0a"
            out.append(s)
        # flush windows at the end, sometimes
        if tops and self.chance(0.4):
            topic = r.choice(tops)
            d = self.topics[topic]
            out.append({"pipe": topic, "k": self.key_val(d["key"], 0), "v": self.val(d["value"], 0), "t": t + r.choice([sc * 5, sc * 20, 300000])})
        if self.family == "query" or self.chance(.08):
            out = self.with_queries(out)
        return out

    def with_queries(self, steps):
        r = self.r
        st = [s for s in self.stores]
        if not st:
            return steps
        out = []
        last = 0
        for s in steps:
            out.append(s)
            last = max(last, s.get("t", 0))
            if self.chance(0.35):
                name, kind, k, size = r.choice(st)
                if windowed(k):
                    continue
                q = {"query": None, "store": name, "key": k}
                kv = lambda: self.key_val(k, 0)
                if kind == "kv":
                    x = r.choice(["get", "get", "range", "reverseRange", "all", "reverseAll", "prefix", "count"])
                    if x == "prefix":
                        if k != "string":
                            continue
                        q["k"] = r.choice(["a", "b"])
                    elif x == "get":
                        q["k"] = kv()
                    elif "ange" in x:
                        a, b = kv(), kv()
                        if k == "string" and a.encode() > b.encode() and self.chance(.9):
                            a, b = b, a
                        q["from"], q["to"] = r.choice([(a, b), (None, b), (a, None)])
                elif kind == "window":
                    x = r.choice(["windowFetch", "windowFetch", "windowBackward", "windowRange", "windowFetchAll", "windowAll", "windowGet"])
                    q["t0"] = max(0, last - r.choice([0, 5, 20, 200]))
                    q["t1"] = last + r.choice([0, 5, 20])
                    if x in ("windowFetch", "windowBackward", "windowGet"):
                        q["k"] = kv()
                    if x == "windowRange":
                        q["from"], q["to"] = "a", "b"
                        if k != "string":
                            continue
                elif kind == "session":
                    x = r.choice(["sessionFetch", "sessionBackward", "sessionRange", "findSessions", "sessionGet"])
                    q["t0"] = max(0, last - r.choice([0, 5, 20, 200]))
                    q["t1"] = last + r.choice([0, 5, 20])
                    if x != "sessionRange":
                        q["k"] = kv()
                elif kind == "versioned":
                    x = "verGet"
                    q["k"] = kv()
                    if self.chance(.6):
                        q["asOf"] = max(0, last - r.choice([0, 1, 5, 10, 50]))
                else:
                    continue
                q["query"] = x
                out.append(q)
        return out

    # ---- whole case ----
    def config(self):
        r, c = self.r, {}
        if self.chance(.5 if self.family == "naming" else .3):
            rules = ["reuse.ktable.source.topics", "merge.repartition.topics", "single.store.self.join"]
            c["topology.optimization"] = "all" if self.chance(.8) else r.choice(["none"] + rules + [",".join(r.sample(rules, 2))])
        if self.chance(.4):
            c["statestore.cache.max.bytes"] = r.choice([0, 0, 0, 1, 200, 200, 500, 10485760])
        if self.chance(.1):
            c["processing.guarantee"] = "exactly_once_v2"
        if self.chance(.2):
            c["default.dsl.store"] = r.choice(["memory", "rocks"])
        if self.chance(.05):
            c["dsl.store.format"] = r.choice(["headers", "default"]).upper()
        if self.chance(.05):
            c["default.timestamp.extractor"] = r.choice(["logskip", "usepart", "fail"])
        if self.family == "errors":
            if self.chance(.6):
                c["deserialization.exception.handler"] = r.choice(["continue", "continue", "fail"])
            if self.chance(.6):
                c["processing.exception.handler"] = r.choice(["continue", "continue", "fail"])
            if self.chance(.15):
                c["errors.dead.letter.queue.topic.name"] = "dlq"
        elif self.chance(.05):
            c["processing.exception.handler"] = r.choice(["continue", "fail"])
            if self.chance(.5):
                c["errors.dead.letter.queue.topic.name"] = "dlq"
        if self.chance(.03):
            c["application.id"] = r.choice(["app", "other-app", "a.b_c"])
        if self.family == "naming" and self.chance(.05):
            c["ensure.explicit.internal.resource.naming"] = True
        if self.chance(.2):
            c["wall0"] = r.choice([1000, 5, 1700000000000])
        if self.chance(.03):
            c["max.task.idle.ms"] = r.choice([-1, 10, 0, 1, 1000])
        return c

    def case(self, cid):
        r = self.r
        cfg = self.config()
        fam = self.family
        if fam in ("tables",) or (fam == "suppress" and self.chance(.2)):
            self.g_table()
        elif fam == "versioned":
            self.g_vtable()
            self.g_stream("string")
        elif fam == "processors" and self.chance(.15):
            self.g_stream()
        else:
            self.g_stream()
        if self.chance(.3) and fam != "versioned":
            self.g_stream()
        if fam == "versioned" or fam == "query":
            cfg.pop("topology.optimization", None)
        w = W[fam]
        names = sorted(w)
        goal = r.randint(1, self.max_nodes)
        tries = 0
        must = MUST.get(fam, [])
        made = set()
        while tries < 60:
            tries += 1
            if len(self.ops) < goal:
                o = r.choices(names, [w[x] for x in names])[0]
            elif must and not made & set(must):
                if "suppress" in must and not any(n.kind == "table" for n in self.nodes):
                    o = r.choice(["win", "win", "sess", "count"])
                else:
                    o = r.choice(must)
            else:
                break
            mark = (len(self.ops), len(self.nodes), dict(self.topics), list(self.stores))
            try:
                getattr(self, "g_" + o)()
                made.add(o)
            except Skip:
                del self.ops[mark[0]:]
                del self.nodes[mark[1]:]
                self.topics, self.stores = mark[2], mark[3]
        # sinks for the leaves
        for n in list(self.nodes):
            if n.used and not self.chance(.06):
                continue
            if n.kind == "table":
                if n.x.get("agg") is None and self.chance(.1):
                    continue
                op = {"id": self.id(), "op": "toStream", "in": n.id}
                self.maybe_name(op, "ts")
                self.add(op)
                n = Node(op["id"], "stream", n.k, n.v)
            if n.kind == "stream":
                self.outs += 1
                self.sink(n, "out%d" % self.outs)
        for n in [n for n in self.nodes if n.kind == "grouped" and not n.used]:
            pass
        steps = self.steps()
        for o in self.ops:
            o.pop("_size", None)
        return {"id": cid, "family": fam, "config": cfg, "topics": self.topics, "topology": self.ops, "steps": steps}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--first", type=int, default=0, help="how many cases of this seed to leave out")
    ap.add_argument("--count", type=int, default=10)
    ap.add_argument("--family", default="all", choices=FAMILIES + ["all"])
    ap.add_argument("--max-nodes", type=int, default=12)
    ap.add_argument("--prefix", default="g")
    a = ap.parse_args()
    out = sys.stdout
    for i in range(a.first, a.first + a.count):
        rng = random.Random("%d/%d/%s" % (a.seed, i, a.family))
        fam = rng.choice(FAMILIES) if a.family == "all" else a.family
        mx = min(a.max_nodes, rng.choice([2, 4, 6, 8, 12]))
        case = Gen(rng, fam, mx).case("%s-%d-%d" % (a.prefix, a.seed, i))
        out.write(json.dumps(case, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
