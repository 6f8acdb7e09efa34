package peer;

import io.confluent.parallelconsumer.PCRetriableException;
import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.internal.DrainingCloseable.DrainingMode;
import io.confluent.parallelconsumer.vertx.VertxParallelEoSStreamProcessor;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.json.JsonObject;
import io.vertx.core.net.PemTrustOptions;
import io.vertx.ext.web.client.WebClient;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Commands in, one POST each, replies out; commands of one call stay in order. */
public final class ParallelConsumer {
	private static final int IN_FLIGHT = Integer.parseInt(text("IN_FLIGHT"));
	private static final int LOOPS = Runtime.getRuntime().availableProcessors();
	private static final String TOKEN = "Bearer " + text("GRAPH_TOKEN");
	private static final URI GRAPH = URI.create(text("GRAPH_URL"));
	private static final String CA_FILE = System.getenv("CA_FILE");

	private final KafkaProducer<String, byte[]> producer = producer();
	private final Vertx vertx = Vertx.vertx(new VertxOptions()
		.setEventLoopPoolSize(LOOPS)
		.setPreferNativeTransport(true));
	private final HttpClient http = http();
	private final String replies = text("REPLIES");

	/** An answer that asks for another try, not before a time. */
	private static final class TryAgain extends PCRetriableException {
		final Duration after;

		TryAgain(int status, Duration after) {
			super("HTTP " + status);
			this.after = after;
		}
	}

	private static String text(String name) {
		String value = System.getenv(name);
		if (value == null)
			throw new IllegalArgumentException(name + " is not set");
		return value;
	}

	private static KafkaConsumer<String, byte[]> consumer() {
		Properties p = new Properties();
		p.put("bootstrap.servers", text("BROKERS"));
		p.put("group.id", text("GROUP"));
		p.put("enable.auto.commit", "false");
		p.put("auto.offset.reset", "earliest");
		p.put("max.poll.records", "2000");
		p.put("fetch.max.wait.ms", "20");
		p.put("key.deserializer", StringDeserializer.class.getName());
		p.put("value.deserializer", ByteArrayDeserializer.class.getName());
		return new KafkaConsumer<>(p);
	}

	private static KafkaProducer<String, byte[]> producer() {
		Properties p = new Properties();
		p.put("bootstrap.servers", text("BROKERS"));
		p.put("acks", "all");
		p.put("enable.idempotence", "true");
		p.put("linger.ms", System.getenv().getOrDefault("LINGER_MS", "5"));
		p.put("batch.size", "262144");
		p.put("key.serializer", StringSerializer.class.getName());
		p.put("value.serializer", ByteArraySerializer.class.getName());
		return new KafkaProducer<>(p);
	}

	private HttpClient http() {
		HttpClientOptions options = new HttpClientOptions()
			.setDefaultHost(GRAPH.getHost())
			.setDefaultPort(GRAPH.getPort())
			.setKeepAliveTimeout(120)
			.setTcpNoDelay(true)
			.setConnectTimeout(5000)
			.setIdleTimeout(120);
		PoolOptions pool = new PoolOptions()
			.setEventLoopSize(LOOPS)
			.setHttp1MaxSize(IN_FLIGHT)
			.setMaxWaitQueueSize(-1);
		if (CA_FILE != null) {
			options.setSsl(true)
				.setPemTrustOptions(new PemTrustOptions().addCertPath(CA_FILE))
				.setUseAlpn(true)
				.setProtocolVersion(HttpVersion.HTTP_2)
				.setHttp2MultiplexingLimit(100);
			pool.setHttp2MaxSize(IN_FLIGHT / 100 + 1);
		}
		return vertx.createHttpClient(options, pool);
	}

	private static Duration pauseAfter(Throwable failure, int attempts) {
		for (Throwable t = failure; t != null; t = t.getCause()) {
			if (t instanceof TryAgain)
				return ((TryAgain) t).after;
		}
		return Duration.ofMillis(Math.min(30_000L, 250L << Math.min(7, attempts)));
	}

	private ParallelConsumerOptions<String, byte[]> options() {
		return ParallelConsumerOptions.<String, byte[]>builder()
			.consumer(consumer())
			.ordering(ProcessingOrder.KEY)
			.maxConcurrency(IN_FLIGHT)
			.commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
			.commitInterval(Duration.ofSeconds(1))
			.initialLoadFactor(10)
			.maximumLoadFactor(100)
			.retryDelayProvider(record -> pauseAfter(
				record.getLastFailureReason().orElse(null),
				record.getNumberOfFailedAttempts()))
			.build();
	}

	/** The command without what Graph does not know. */
	private static Buffer body(ConsumerRecord<String, byte[]> record) {
		JsonObject command = new JsonObject(Buffer.buffer(record.value()));
		command.remove("callId");
		command.remove("commandId");
		return command.toBuffer();
	}

	/**
	 * All that follows the request is chained on its event loop: chained from here, an answer that
	 * comes at once would have ended before anybody asks for its body.
	 */
	private Future<Void> invite(ConsumerRecord<String, byte[]> record) {
		String path = GRAPH.getPath() + "/communications/calls/" + record.key()
			+ "/participants/invite";
		return http.request(HttpMethod.POST, path).compose(request -> request
			.putHeader("Content-Type", "application/json")
			.putHeader("Authorization", TOKEN)
			.send(body(record))
			.compose(answer -> answer.body().compose(
				text -> reply(record, answer, text.toString(StandardCharsets.UTF_8)))));
	}

	private Future<Void> reply(ConsumerRecord<String, byte[]> record, HttpClientResponse answer,
		String body) {
		int status = answer.statusCode();
		if (status == 429 || status >= 502 && status <= 504)
			return Future.failedFuture(new TryAgain(status, retryAfter(answer)));
		StringBuilder text = new StringBuilder(256 + body.length());
		text.append("{\"callId\":");
		quote(text, record.key());
		text.append(",\"status\":").append(status).append(",\"location\":");
		quote(text, answer.getHeader("Location"));
		text.append(",\"partition\":").append(record.partition());
		text.append(",\"offset\":").append(record.offset()).append(",\"body\":");
		quote(text, body);
		text.append('}');
		return produce(record.key(), text.toString());
	}

	private Future<Void> produce(String key, String value) {
		Promise<Void> stored = Promise.promise();
		byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
		producer.send(new ProducerRecord<>(replies, key, bytes), (where, failure) -> {
			if (failure == null)
				stored.complete();
			else
				stored.fail(failure);
		});
		return stored.future();
	}

	private static Duration retryAfter(HttpClientResponse answer) {
		try {
			return Duration.ofSeconds(Long.parseLong(answer.getHeader("Retry-After").trim()));
		} catch (NullPointerException | NumberFormatException none) {
			return Duration.ofMillis(500);
		}
	}

	private static void quote(StringBuilder out, String text) {
		if (text == null) {
			out.append("null");
			return;
		}
		out.append('"');
		for (int i = 0; i < text.length(); i++) {
			char c = text.charAt(i);
			if (c == '"' || c == '\\')
				out.append('\\').append(c);
			else if (c < 0x20)
				out.append(String.format("\\u%04x", (int) c));
			else
				out.append(c);
		}
		out.append('"');
	}

	private void run() throws InterruptedException {
		VertxParallelEoSStreamProcessor<String, byte[]> processor =
			new VertxParallelEoSStreamProcessor<>(vertx, WebClient.wrap(http), options());
		processor.subscribe(List.of(text("COMMANDS")));
		processor.vertxFuture(context -> invite(context.getSingleConsumerRecord()));
		Runtime.getRuntime().addShutdownHook(new Thread(() -> {
			processor.close(Duration.ofSeconds(20), DrainingMode.DRAIN);
			producer.close();
		}));
		Thread.currentThread().join();
	}

	public static void main(String[] arguments) throws InterruptedException {
		new ParallelConsumer().run();
	}
}
