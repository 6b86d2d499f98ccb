// Apache Kafka's consumer in every way of sharing partitions: who joins and leaves loses no record, and everybody goes on
// where the group was. Prints `ok NAME` or `FAIL NAME: why` for each case, and exits with the number that failed.
//   java -cp 'JARS/*' Assignors.java HOST:PORT [REGEX OF CASES]

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

public class Assignors {
    static final int PARTITIONS = 6;
    static final Duration TURN = Duration.ofMillis(50);
    static final long SOON = 30_000;
    static String bootstrap;
    static Admin admin;
    static KafkaProducer<String, String> producer;
    static final String RUN = Long.toString(System.currentTimeMillis(), 36);

    interface Case { void run(String name, Map<String, String> how) throws Exception; }

    static void connect(String address) {
        bootstrap = address;
        String text = "org.apache.kafka.common.serialization.StringSerializer";
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap, "key.serializer", text, "value.serializer", text, "linger.ms", "5"));
    }

    static Map<String, Map<String, String>> ways() {
        Map<String, Map<String, String>> ways = new java.util.LinkedHashMap<>();
        for (String assignor : List.of("Range", "RoundRobin", "Sticky", "CooperativeSticky"))
            ways.put(assignor.toLowerCase(), Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor + "Assignor",
                "session.timeout.ms", "10000", "heartbeat.interval.ms", "500"));
        for (String assignor : List.of("uniform", "range"))
            ways.put("consumer-" + assignor, Map.of("group.protocol", "consumer", "group.remote.assignor", assignor));
        return ways;
    }

    public static void main(String[] arguments) throws Exception {
        connect(arguments[0]);
        Pattern wanted = Pattern.compile(arguments.length > 1 ? arguments[1] : "");
        Map<String, Case> cases = new java.util.LinkedHashMap<>();
        cases.put("come-and-go-auto", (name, how) -> comeAndGo(name, how, Commit.AUTO));
        cases.put("come-and-go-sync", (name, how) -> comeAndGo(name, how, Commit.SYNC));
        cases.put("come-and-go-async", (name, how) -> comeAndGo(name, how, Commit.ASYNC));
        cases.put("restart", Assignors::restart);
        cases.put("seek", Assignors::seek);
        cases.put("pause", Assignors::pause);
        cases.put("static", Assignors::staticMember);
        cases.put("regex", Assignors::regex);
        int failed = 0;
        for (var way : ways().entrySet())
            for (var one : cases.entrySet()) {
                String name = way.getKey() + "-" + one.getKey();
                if (!wanted.matcher(name).find()) continue;
                long since = System.nanoTime();
                try {
                    one.getValue().run(name + "-" + RUN, way.getValue());
                    System.out.printf("ok   %s %.1f s%n", name, (System.nanoTime() - since) / 1e9);
                } catch (Throwable fault) {
                    failed++;
                    System.out.println("FAIL " + name + ": " + fault);
                    if (!(fault instanceof AssertionError)) fault.printStackTrace(System.out);
                }
            }
        producer.close();
        admin.close();
        System.exit(failed);
    }

    enum Commit { AUTO, SYNC, ASYNC }

    /** What the members of one case have read and who has what. */
    static class Ledger {
        final Set<String> read = ConcurrentHashMap.newKeySet();
        /** Next offsets, where the broker has acknowledged a commit. */
        final Map<TopicPartition, Long> committed = new ConcurrentHashMap<>();
        final AtomicInteger times = new AtomicInteger();
        final Map<TopicPartition, String> owners = new ConcurrentHashMap<>();
        final List<String> faults = java.util.Collections.synchronizedList(new ArrayList<>());

        void take(String who, Collection<TopicPartition> partitions) {
            for (TopicPartition partition : partitions) {
                String before = owners.put(partition, who);
                if (before != null && !before.equals(who)) faults.add(partition + " went to " + who + " while " + before + " had it");
            }
        }

        void giveBack(String who, Collection<TopicPartition> partitions) { partitions.forEach(partition -> owners.remove(partition, who)); }

        /** Nobody reads again what was committed. */
        void read(String who, ConsumerRecord<String, String> record) {
            read.add(record.value());
            times.incrementAndGet();
            Long known = committed.get(new TopicPartition(record.topic(), record.partition()));
            if (known != null && record.offset() < known) faults.add(who + " reads " + record.offset() + " after " + known + " was committed");
        }

        void commit(Map<TopicPartition, OffsetAndMetadata> offsets) {
            offsets.forEach((partition, offset) -> {
                Long before = committed.put(partition, offset.offset());
                if (before != null && before > offset.offset()) faults.add(partition + " was committed at " + before + " and then at " + offset.offset());
            });
        }

        void check() { expect(faults.isEmpty(), String.join("; ", faults)); }
    }

    /** A consumer on a thread of its own that reads until it is told to go. */
    static class Reader extends Thread implements ConsumerRebalanceListener {
        final Consumer<String, String> consumer;
        final String who;
        final Commit commit;
        final Ledger ledger;
        final AtomicInteger assignments = new AtomicInteger();
        /** Of its own thread. */
        final Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
        volatile boolean isOver;
        volatile Throwable fault;
        volatile Set<TopicPartition> has = Set.of();

        Reader(String who, String group, Map<String, String> how, Commit commit, Ledger ledger, String... topics) {
            this.who = who;
            this.commit = commit;
            this.ledger = ledger;
            consumer = consumer(group, how, commit == Commit.AUTO);
            consumer.subscribe(List.of(topics), this);
            start();
        }

        @Override public void run() {
            try {
                while (!isOver) {
                    var records = consumer.poll(TURN);
                    for (var record : records) {
                        ledger.read(who, record);
                        positions.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
                    }
                    has = Set.copyOf(consumer.assignment());
                    if (!records.isEmpty()) commit();
                }
                if (commit == Commit.ASYNC) commitSync();
            } catch (Throwable thrown) {
                fault = thrown;
            } finally {
                consumer.close(CloseOptions.timeout(Duration.ofSeconds(10)));
                ledger.giveBack(who, new ArrayList<>(ledger.owners.keySet()));
            }
        }

        void commit() {
            switch (commit) {
                case SYNC -> commitSync();
                case ASYNC -> consumer.commitAsync((offsets, failure) -> { });
                case AUTO -> { }
            }
        }

        /** A rebalance may take its right to commit away; then others read again what it read. */
        void commitSync() {
            try {
                consumer.commitSync(positions);
                ledger.commit(positions);
            } catch (CommitFailedException | org.apache.kafka.common.errors.RebalanceInProgressException lost) { }
        }

        @Override public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            assignments.incrementAndGet();
            ledger.take(who, partitions);
        }

        @Override public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (commit != Commit.AUTO && !partitions.isEmpty()) commitSync();
            positions.keySet().removeAll(partitions);
            ledger.giveBack(who, partitions);
        }

        @Override public void onPartitionsLost(Collection<TopicPartition> partitions) {
            positions.keySet().removeAll(partitions);
            ledger.giveBack(who, partitions);
        }

        void go() throws Exception {
            isOver = true;
            join(SOON);
            if (fault != null) throw new RuntimeException(who, fault);
        }
    }

    static KafkaConsumer<String, String> consumer(String group, Map<String, String> how, boolean commits) {
        Properties properties = new Properties();
        String text = "org.apache.kafka.common.serialization.StringDeserializer";
        properties.putAll(Map.of("bootstrap.servers", bootstrap, "group.id", group, "key.deserializer", text, "value.deserializer", text,
            "auto.offset.reset", "earliest", "enable.auto.commit", Boolean.toString(commits), "auto.commit.interval.ms", "200", "metadata.max.age.ms", "500"));
        properties.putAll(how);
        return new KafkaConsumer<>(properties);
    }

    static String topic(String name) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, PARTITIONS, (short) 1))).all().get(20, TimeUnit.SECONDS);
        return name;
    }

    /** Writes `count` records named `prefix` and a number, evenly. */
    static void write(String topic, String prefix, int count) throws Exception {
        List<java.util.concurrent.Future<?>> sent = new ArrayList<>();
        for (int nth = 0; nth < count; nth++) sent.add(producer.send(new ProducerRecord<>(topic, nth % PARTITIONS, null, prefix + nth)));
        for (var one : sent) one.get(30, TimeUnit.SECONDS);
    }

    static void expect(boolean isTrue, String what) { if (!isTrue) throw new AssertionError(what); }

    static void soon(String what, BooleanSupplier isTrue) throws Exception {
        long until = System.currentTimeMillis() + SOON;
        while (!isTrue.getAsBoolean()) {
            expect(System.currentTimeMillis() < until, "not within " + SOON + " ms: " + what);
            Thread.sleep(20);
        }
    }

    /** Everyone of the readers has its fair share, and all partitions are had once. */
    static boolean areShared(int partitions, List<Reader> readers) {
        Set<TopicPartition> all = new HashSet<>();
        int sum = 0;
        for (Reader reader : readers) {
            if (reader.has.isEmpty()) return false;
            sum += reader.has.size();
            all.addAll(reader.has);
        }
        return sum == partitions && all.size() == partitions;
    }

    static Map<TopicPartition, OffsetAndMetadata> committed(String group) throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(20, TimeUnit.SECONDS);
    }

    static long sum(Map<TopicPartition, OffsetAndMetadata> offsets) { return offsets.values().stream().mapToLong(OffsetAndMetadata::offset).sum(); }

    /** Three join one after the other, one leaves, while records come in. */
    static void comeAndGo(String name, Map<String, String> how, Commit commit) throws Exception {
        String topic = topic(name);
        Ledger ledger = new Ledger();
        List<Reader> readers = new ArrayList<>();
        int written = 0;
        for (int nth = 0; nth < 3; nth++) {
            readers.add(new Reader("m" + nth, name, how, commit, ledger, topic));
            write(topic, "join" + nth + "-", 300);
            written += 300;
            soon("partitions shared by " + readers.size(), () -> areShared(PARTITIONS, readers));
        }
        Reader first = readers.remove(0);
        first.go();
        write(topic, "left-", 300);
        int all = written + 300;
        soon("partitions shared by those who stay", () -> areShared(PARTITIONS, readers));
        try {
            soon("all " + all + " records read", () -> ledger.read.size() == all);
        } catch (AssertionError short_) {
            throw new AssertionError(short_.getMessage() + " but " + ledger.read.size() + ", committed " + committed(name));
        }
        for (Reader reader : readers) reader.go();
        ledger.check();
        soon("committed " + all, () -> { try { return sum(committed(name)) == all; } catch (Exception failure) { throw new RuntimeException(failure); } });
    }

    /** Who comes after all have left reads what is new, and nothing else. */
    static void restart(String name, Map<String, String> how) throws Exception {
        String topic = topic(name);
        for (int round = 0; round < 3; round++) {
            Ledger ledger = new Ledger();
            write(topic, "round" + round + "-", 120);
            var readers = List.of(new Reader("a", name, how, Commit.SYNC, ledger, topic), new Reader("b", name, how, Commit.AUTO, ledger, topic));
            soon("the round's records read", () -> ledger.read.size() == 120);
            soon("partitions shared", () -> areShared(PARTITIONS, readers));
            for (Reader reader : readers) reader.go();
            ledger.check();
            final int now = round;
            expect(ledger.read.stream().allMatch(value -> value.startsWith("round" + now + "-")), "records of an earlier round");
            expect(sum(committed(name)) == 120L * (round + 1), "committed " + committed(name));
        }
    }

    static List<String> poll(Consumer<String, String> consumer, int count) {
        List<String> values = new ArrayList<>();
        long until = System.currentTimeMillis() + SOON;
        while (values.size() < count && System.currentTimeMillis() < until) consumer.poll(TURN).forEach(record -> values.add(record.value()));
        return values;
    }

    static void seek(String name, Map<String, String> how) throws Exception {
        String topic = topic(name);
        write(topic, "", 60);
        try (var consumer = consumer(name, how, false)) {
            consumer.subscribe(List.of(topic));
            expect(poll(consumer, 60).size() == 60, "all the first time");
            consumer.seekToBeginning(consumer.assignment());
            expect(poll(consumer, 60).size() == 60, "all again from the beginning");
            var one = new TopicPartition(topic, 2);
            consumer.seek(one, 7);
            expect(poll(consumer, 3).equals(List.of("44", "50", "56")), "the last three of partition 2");
            consumer.seekToEnd(List.of(one));
            expect(consumer.position(one) == 10, "the end is 10");
            consumer.commitSync(Map.of(one, new OffsetAndMetadata(4, "by hand")));
            var found = consumer.committed(Set.of(one)).get(one);
            expect(found.offset() == 4 && found.metadata().equals("by hand"), "committed " + found);
        }
        try (var consumer = consumer(name, how, false)) {
            consumer.subscribe(List.of(topic));
            var values = poll(consumer, 56);
            expect(values.size() == 56 && !values.contains("20") && values.contains("26"), "partition 2 goes on at 4: " + values.size());
        }
    }

    static void pause(String name, Map<String, String> how) throws Exception {
        String topic = topic(name);
        write(topic, "a", 60);
        try (var consumer = consumer(name, how, true)) {
            consumer.subscribe(List.of(topic));
            poll(consumer, 60);
            var some = Set.of(new TopicPartition(topic, 0), new TopicPartition(topic, 3));
            consumer.pause(some);
            write(topic, "b", 60);
            expect(poll(consumer, 40).size() == 40, "those that go on are read");
            expect(consumer.poll(Duration.ofMillis(500)).isEmpty(), "nothing comes from those that rest");
            expect(consumer.paused().equals(some), "they still rest");
            consumer.resume(some);
            expect(poll(consumer, 20).size() == 20, "then they are read too");
        }
        expect(sum(committed(name)) == 120, "committed " + committed(name));
    }

    /** One that comes back under its name within its session gets what it had, and the others do not notice. */
    static void staticMember(String name, Map<String, String> how) throws Exception {
        String topic = topic(name);
        Ledger ledger = new Ledger();
        Map<String, String> one = new HashMap<>(how), two = new HashMap<>(how);
        one.put("group.instance.id", "one");
        two.put("group.instance.id", "two");
        Reader stays = new Reader("one", name, one, Commit.SYNC, ledger, topic);
        Reader goes = new Reader("two", name, two, Commit.SYNC, ledger, topic);
        soon("partitions shared", () -> areShared(PARTITIONS, List.of(stays, goes)));
        write(topic, "before-", 60);
        soon("read by both", () -> ledger.read.size() == 60);
        Thread.sleep(1500);
        Set<TopicPartition> had = goes.has;
        int assignments = stays.assignments.get();
        goes.go();
        write(topic, "between-", 60);
        Reader back = new Reader("two", name, two, Commit.SYNC, ledger, topic);
        soon("it has what it had", () -> back.has.equals(had));
        soon("read what came meanwhile", () -> ledger.read.size() == 120);
        Thread.sleep(1500);
        expect(stays.assignments.get() == assignments, "the one that stayed was assigned anew");
        expect(ledger.times.get() == 120, "read twice: " + ledger.times.get());
        var group = admin.describeConsumerGroups(List.of(name)).all().get(20, TimeUnit.SECONDS).get(name);
        Set<String> instances = new TreeSet<>();
        group.members().forEach(member -> instances.add(member.groupInstanceId().orElse("-")));
        expect(instances.equals(Set.of("one", "two")), "members " + instances);
        stays.go();
        back.go();
    }

    /** Topics that match, those made later too, and no others. */
    static void regex(String name, Map<String, String> how) throws Exception {
        boolean isConsumer = "consumer".equals(how.get("group.protocol"));
        String first = topic("re-" + name + "-1");
        topic("other-" + name + "-1");
        write(first, "first-", 60);
        write("other-" + name + "-1", "other-", 60);
        try (var one = consumer(name, how, true); var two = consumer(name, how, true)) {
            String expression = "re-" + name + "-[0-9]+";
            for (var consumer : List.of(one, two))
                if (isConsumer) consumer.subscribe(new SubscriptionPattern(expression)); else consumer.subscribe(Pattern.compile(expression));
            Set<String> read = new HashSet<>();
            BooleanSupplier poll = () -> {
                for (var consumer : List.of(one, two)) consumer.poll(TURN).forEach(record -> read.add(record.value()));
                return true;
            };
            soon("the first topic is read and shared", () -> poll.getAsBoolean() && read.size() == 60 && !one.assignment().isEmpty() && !two.assignment().isEmpty());
            String second = topic("re-" + name + "-2");
            write(second, "second-", 60);
            soon("the second topic is read", () -> poll.getAsBoolean() && read.size() == 120);
            expect(read.stream().noneMatch(value -> value.startsWith("other-")), "a topic that does not match");
            soon("both topics are shared", () -> poll.getAsBoolean() && one.assignment().size() + two.assignment().size() == 2 * PARTITIONS);
        }
    }
}
