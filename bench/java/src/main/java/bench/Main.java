package bench;

public final class Main {
    public static void main(String[] a) throws Exception {
        if (a.length == 0) { System.err.println("app|load|topics|verify|latency|failover|startup --opt value ..."); System.exit(2); }
        Util.Opts o = new Util.Opts(a, 1);
        switch (a[0]) {
            case "app" -> App.run(o);
            case "load" -> Load.load(o);
            case "topics" -> Load.topics(o);
            case "verify" -> Load.verify(o);
            case "latency" -> Drive.latency(o);
            case "failover" -> Drive.failover(o);
            case "startup" -> Drive.startup(o);
            default -> { System.err.println("unknown " + a[0]); System.exit(2); }
        }
    }
}
