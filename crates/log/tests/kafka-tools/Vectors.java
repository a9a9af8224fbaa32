// Prints the batches of src/batch/tests/java.rs. Run with the jars that the test of DumpLogSegments
// fetched: java -cp "target/tmp/kafka-tools-4.3.0/*" crates/log/tests/kafka-tools/Vectors.java
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.record.TimestampType;

public class Vectors {
    public static void main(String[] args) {
        for (Compression codec : new Compression[]{Compression.NONE, Compression.lz4().build(), Compression.gzip().build(), Compression.snappy().build(), Compression.zstd().build()}) {
            ByteBuffer buffer = ByteBuffer.allocate(4096);
            MemoryRecordsBuilder b = MemoryRecords.builder(buffer, RecordBatch.MAGIC_VALUE_V2, codec, TimestampType.CREATE_TIME, 42L, RecordBatch.NO_TIMESTAMP, 7L, (short) 3, 11, true, 5);
            b.append(1700000000000L, "key".getBytes(), "value".getBytes());
            b.append(1699999999995L, null, "v".repeat(200).getBytes(), new Header[]{new RecordHeader("h", "1".getBytes()), new RecordHeader("h", null)});
            b.append(1700000100000L, "k".getBytes(), null);
            print(b.build().buffer());
        }
        print(MemoryRecords.withEndTransactionMarker(50L, 1700000000001L, 5, 7L, (short) 3, new EndTransactionMarker(ControlRecordType.COMMIT, 9)).buffer());
    }
    static void print(ByteBuffer b) { byte[] a = new byte[b.remaining()]; b.get(a); System.out.println(HexFormat.of().formatHex(a)); }
}
