package bench;

import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;

final class Load {
    static Admin admin(Util.Opts o) { return Admin.create(Map.<String, Object>of("bootstrap.servers", o.bootstrap())); }

    static void create(Admin a, String topic, int parts, Map<String, String> conf) throws Exception {
        Map<String, String> c = new HashMap<>(conf);
        c.putIfAbsent("retention.ms", "-1");
        for (int i = 0; i < 100; i++) {
            try {
                a.createTopics(List.of(new NewTopic(topic, parts, (short) 1).configs(c))).all().get(20, TimeUnit.SECONDS);
                ready(a, topic, parts);
                return;
            }
            catch (ExecutionException e) {
                if (!(e.getCause() instanceof org.apache.kafka.common.errors.TopicExistsException)) throw e;
                if (a.describeTopics(List.of(topic)).allTopicNames().get(20, TimeUnit.SECONDS).containsKey(topic)) return;
                Util.sleep(100);
            }
        }
    }
    /** A created topic is not at once writable: an idempotent producer that starts too early can lose its first batch
     *  (NOT_LEADER on batch 0, batch 1 accepted, batch 0 then OUT_OF_ORDER until it expires). Wait until every leader answers. */
    static void ready(Admin a, String topic, int parts) throws Exception {
        for (int i = 0; i < 200; i++) {
            try {
                Map<TopicPartition, OffsetSpec> q = new HashMap<>();
                for (int k = 0; k < parts; k++) q.put(new TopicPartition(topic, k), OffsetSpec.latest());
                a.listOffsets(q).all().get(5, TimeUnit.SECONDS);
                Util.sleep(300);
                return;
            } catch (ExecutionException | TimeoutException e) { Util.sleep(50); }
        }
        throw new IllegalStateException("topic not ready: " + topic);
    }
    static void delete(Admin a, Collection<String> ts) throws Exception {
        for (String t : ts) try { a.deleteTopics(List.of(t)).all().get(20, TimeUnit.SECONDS); } catch (ExecutionException ignored) { }
    }

    /** load --topic in-4m --kind in|table|restore|f1 --records N */
    static void load(Util.Opts o) throws Exception {
        String topic = o.s("topic", "in-4m"), kind = o.s("kind", "in");
        long n = o.l("records", kind.equals("table") ? Gen.TABLE : kind.equals("restore") ? Gen.RESTORE_KEYS : 4_000_000);
        try (Admin a = admin(o)) { create(a, topic, 4, Map.of()); }
        Map<String, Object> p = new HashMap<>();
        p.put("bootstrap.servers", o.bootstrap());
        p.put("acks", "all"); p.put("linger.ms", "20"); p.put("batch.size", "65536"); p.put("buffer.memory", "134217728");
        p.put("compression.type", "none");
        java.util.concurrent.atomic.AtomicReference<Exception> err = new java.util.concurrent.atomic.AtomicReference<>();
        long t = System.nanoTime();
        try (KafkaProducer<byte[], byte[]> pr = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (long i = 0; i < n; i++) {
                byte[] k, v; long ts;
                switch (kind) {
                    case "in" -> { k = Gen.key(Gen.keyId(i)); v = Gen.value(i, 100); ts = Gen.ts(i); }
                    case "table" -> { k = Gen.key(i * Gen.MULT % Gen.K); v = Gen.tableValue(i); ts = Gen.T0 - 10_000_000 + i; }
                    case "restore" -> { k = Gen.key(i * Gen.MULT % Gen.RESTORE_KEYS); v = Gen.value(i, 200); ts = Gen.T0 + i / 4; }
                    default -> throw new IllegalArgumentException(kind);
                }
                pr.send(new ProducerRecord<>(topic, null, ts, k, v), (md, e) -> { if (e != null) err.compareAndSet(null, e); });
                if (err.get() != null) throw err.get();
            }
            pr.flush();
            if (err.get() != null) throw err.get();
        }
        double s = (System.nanoTime() - t) / 1e9;
        System.out.println(Util.json("event", "loaded", "topic", topic, "records", n, "secs", s, "rec_per_s", n / s));
    }

    /** topics --create a,b --delete c,d --recreate e : delete then create again */
    static void topics(Util.Opts o) throws Exception {
        try (Admin a = admin(o)) {
            Set<String> all = a.listTopics().names().get(20, TimeUnit.SECONDS);
            if (o.has("app-id")) {
                String pre = o.s("app-id", "") + "-";
                List<String> del = new ArrayList<>();
                for (String t : all) if (t.startsWith(pre) && (t.endsWith("-changelog") || t.endsWith("-repartition"))) del.add(t);
                delete(a, del);
                try { a.deleteConsumerGroups(List.of(o.s("app-id", ""))).all().get(20, TimeUnit.SECONDS); } catch (ExecutionException ignored) { }
            }
            if (o.has("delete")) delete(a, List.of(o.s("delete", "").split(",")));
            if (o.has("recreate")) {
                List<String> r = List.of(o.s("recreate", "").split(","));
                delete(a, r);
                for (String t : r) {
                    for (int i = 0; i < 100 && a.listTopics().names().get(20, TimeUnit.SECONDS).contains(t); i++) Util.sleep(50);
                    create(a, t, 4, Map.of());
                }
            }
            if (o.has("create")) for (String t : o.s("create", "").split(",")) create(a, t, 4, Map.of());
            if (o.has("sizes")) {
                var d = a.describeLogDirs(List.of(1)).allDescriptions().get(20, TimeUnit.SECONDS);
                Map<String, Long> sz = new TreeMap<>();
                d.get(1).values().forEach(x -> x.replicaInfos().forEach((tp, r) -> sz.merge(tp.topic(), r.size(), Long::sum)));
                sz.forEach((t, s) -> System.out.println(Util.json("topic", t, "bytes", s)));
            }
        }
    }

    /** verify --topic out-W2 --kind stream|table : count, distinct, order-free checksum, read_committed */
    static void verify(Util.Opts o) throws Exception {
        String topic = o.s("topic", "");
        boolean table = o.s("kind", "stream").equals("table");
        Map<String, Object> p = new HashMap<>();
        p.put("bootstrap.servers", o.bootstrap());
        p.put("isolation.level", "read_committed");
        p.put("enable.auto.commit", "false");
        p.put("max.poll.records", "5000");
        p.put("fetch.max.wait.ms", "100");
        long count = 0, sum = 0, longSum = 0;
        HashMap<java.nio.ByteBuffer, byte[]> last = new HashMap<>();
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> tps = new ArrayList<>();
            for (int i = 0; i < 4; i++) tps.add(new TopicPartition(topic, i));
            c.assign(tps); c.seekToBeginning(tps);
            Map<TopicPartition, Long> end = c.endOffsets(tps);
            long dl = System.nanoTime() + o.l("timeout-s", 120) * 1_000_000_000L;
            while (System.nanoTime() < dl) {
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(100))) {
                    count++;
                    if (table) last.put(java.nio.ByteBuffer.wrap(r.key()), r.value());
                    else sum += Gen.fnv(r.key(), r.value());
                }
                boolean d = true;
                for (TopicPartition tp : tps) d &= c.position(tp) >= end.get(tp);
                if (d) break;
            }
        }
        if (table) for (var e : last.entrySet()) { sum += Gen.fnv(e.getKey().array(), e.getValue()); longSum += java.nio.ByteBuffer.wrap(e.getValue()).getLong(); }
        System.out.println(Util.json("event", "verify", "topic", topic, "count", count, "distinct", table ? last.size() : null,
                "value_sum", table ? longSum : null, "checksum", Long.toHexString(sum)));
    }
}
