import org.codelibs.opensearch.runner.OpenSearchRunner;

/** The runner's node, which may run ingest pipelines too. */
class Runner {
    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> settings.putList("node.roles", "cluster_manager", "data", "ingest"));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        runner.build(arguments);
        Thread.currentThread().join();
    }
}
