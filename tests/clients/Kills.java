// Apache Kafka's consumer while the broker is killed: prints `kill` when that is to be done, and waits for a line when the
// broker is back. Nothing acknowledged is lost or, once committed, read again, and the group is at work within ten seconds.
// Prints `ok NAME` or `FAIL NAME: why` for each way of sharing partitions, and exits with the number that failed.
//   java -cp 'JARS/*' Kills HOST:PORT

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;

public class Kills {
    static final int ROUNDS = 4;
    static final long REST = 10_000;
    static final BufferedReader told = new BufferedReader(new InputStreamReader(System.in));

    public static void main(String[] arguments) throws Exception {
        Assignors.connect(arguments[0]);
        int failed = 0;
        for (var way : Assignors.ways().entrySet()) {
            if (way.getKey().equals("roundrobin") || way.getKey().equals("sticky")) continue;
            long since = System.nanoTime();
            try {
                kill(way.getKey() + "-" + Assignors.RUN, way.getValue());
                System.out.printf("ok %s %.1f s%n", way.getKey(), (System.nanoTime() - since) / 1e9);
            } catch (Throwable fault) {
                failed++;
                System.out.println("FAIL " + way.getKey() + ": " + fault);
                fault.printStackTrace();
            }
        }
        System.exit(failed);
    }

    /** Writes records until it is told to end. */
    static class Writer extends Thread {
        final String topic;
        final Set<String> acknowledged = ConcurrentHashMap.newKeySet();
        volatile boolean isOver;

        Writer(String topic) {
            this.topic = topic;
            start();
        }

        @Override public void run() {
            try {
                for (int nth = 0; !isOver; nth++) {
                    String value = Integer.toString(nth);
                    Assignors.producer.send(new ProducerRecord<>(topic, nth % Assignors.PARTITIONS, null, value), (at, failure) -> {
                        if (failure == null) acknowledged.add(value);
                    });
                    Thread.sleep(1);
                }
            } catch (InterruptedException never) { }
            Assignors.producer.flush();
        }
    }

    static void killBroker() throws Exception {
        System.out.println("kill");
        System.out.flush();
        Assignors.expect(told.readLine() != null, "the broker does not come back");
    }

    /** Null before the group is there. */
    static ConsumerGroupDescription look(String group) throws Exception {
        try {
            return Assignors.admin.describeConsumerGroups(List.of(group)).all().get(20, TimeUnit.SECONDS).get(group);
        } catch (ExecutionException failure) {
            if (failure.getCause() instanceof GroupIdNotFoundException) return null;
            throw failure;
        }
    }

    /** Ids, and epochs where the protocol has them. */
    static Map<String, Integer> members(ConsumerGroupDescription group) {
        Map<String, Integer> members = new HashMap<>();
        group.members().forEach(member -> members.put(member.consumerId(), member.memberEpoch().orElse(0)));
        return members;
    }

    /** Stable, everything given out, and every partition goes on being committed. */
    static Map<String, Integer> rest(String group, Assignors.Ledger ledger, List<Assignors.Reader> readers) throws Exception {
        Map<TopicPartition, Long> before = Map.copyOf(ledger.committed);
        long until = System.currentTimeMillis() + REST;
        while (true) {
            ConsumerGroupDescription now = look(group);
            long on = ledger.committed.entrySet().stream().filter(one -> one.getValue() > before.getOrDefault(one.getKey(), 0L)).count();
            if (now != null && now.groupState() == GroupState.STABLE && now.members().size() == readers.size() && on == Assignors.PARTITIONS
                && Assignors.areShared(Assignors.PARTITIONS, readers)) return members(now);
            Assignors.expect(System.currentTimeMillis() < until, "not at rest: " + now + ", commits went from " + before + " to " + ledger.committed);
            Thread.sleep(20);
        }
    }

    static void kill(String name, Map<String, String> how) throws Exception {
        String topic = Assignors.topic(name);
        Assignors.Ledger ledger = new Assignors.Ledger();
        Writer writer = new Writer(topic);
        List<Assignors.Reader> readers = new ArrayList<>();
        for (String who : List.of("a", "b")) readers.add(new Assignors.Reader(who, name, how, Assignors.Commit.SYNC, ledger, topic));
        Map<String, Integer> members = rest(name, ledger, readers);
        for (int round = 0; round < ROUNDS; round++) {
            Thread.sleep(300);
            boolean isJoined = round == 1;
            if (isJoined) readers.add(new Assignors.Reader("c", name, how, Assignors.Commit.SYNC, ledger, topic));
            int assignments = readers.stream().mapToInt(reader -> reader.assignments.get()).sum();
            Map<TopicPartition, Long> committed = Map.copyOf(ledger.committed);
            killBroker();
            var found = Assignors.committed(name);
            for (var one : committed.entrySet()) Assignors.expect(found.get(one.getKey()).offset() >= one.getValue(), "committed " + committed + " but found " + found);
            Map<String, Integer> now = rest(name, ledger, readers);
            for (var one : members.entrySet()) Assignors.expect(now.getOrDefault(one.getKey(), -1) >= one.getValue(), members + " became " + now);
            if (!isJoined) {
                Assignors.expect(now.equals(members), "nobody came or went, but " + members + " became " + now);
                Assignors.expect(readers.stream().mapToInt(reader -> reader.assignments.get()).sum() == assignments, "something changed hands");
            }
            members = now;
        }
        writer.isOver = true;
        writer.join();
        Assignors.soon("all acknowledged records read", () -> ledger.read.containsAll(writer.acknowledged));
        for (Assignors.Reader reader : readers) reader.go();
        ledger.check();
        Assignors.expect(ledger.times.get() == ledger.read.size(), ledger.times.get() + " reads of " + ledger.read.size() + " records");
    }
}
