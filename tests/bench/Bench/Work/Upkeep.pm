package Bench::Work::Upkeep;
use v5.36;

# Start, memory, garbage, and many clients that are slow.

use Bench;
use Bench::Load;
use Bench::Work::Lists;
use Bench::Work::Requests;
use File::Find ();
use Time::HiRes qw(sleep time);

my $LEASE = 5;

sub works ($class) {
    return (
        { name => 'start',   about => 'from the start with an empty directory to the first answer; memory when idle', run => \&_start },
        { name => 'slow',    about => 'GET of a manifest while 1,000 clients upload a KiB a second',               run => \&_slow },
        { name => 'garbage', about => '5,000 images are deleted: until their bytes are gone, from the end of their lease on', run => \&_garbage },
        { name => 'harbor',  about => 'images × 5 tags by 500 clients, and reads of them by 500 clients', large => 1, run => \&_harbor },
    );
}

sub _start ($run) {
    my @servers = $run->registries;
    my %idle;
    $run->row('start', 'empty', unit => 'ms', less => 1, servers => \@servers, wanted => [ [ 'time', '', 80 ] ], rounds => $run->size(5, 1), measure => sub ($server) {
        $server->start;
        my $started = $server->{started};
        sleep $run->size(1, 0.1);
        push @{ $idle{ $server->{name} }{value} }, $server->memory / 1024;
        $server->stop;
        return { value => 1000 * $started };
    });
    $run->row_of('start', 'memory, idle', \%idle, unit => 'MB', less => 1, wanted => [ [ 'time', '', 30 ] ]);
    return;
}

sub _slow ($run) {
    my @servers = $run->registries(more => [qw(--max-uploads 0 --max-connections-per-address 0)]);
    my $clients = $run->size(1000, 20);
    for my $server (@servers) {
        $server->start;
        $server->{path} = Bench::Work::Requests::push_image($server)->{manifest};
    }
    $run->row('slow', "$clients uploads, GET 8", unit => '/s', servers => \@servers, wanted => [ [ 'memory', '', 64 ] ], measure => sub ($server) {
        my $running = load_begin(-c => $clients, $server->url(''), 'bench/slow');
        my $seen = Bench::Work::Requests::measure_requests($server, $server->{path}, connections => 8, seconds => $run->size(3, 0.3));
        load_end($running);
        return $seen;
    });
    $run->stop_servers;
    return;
}

# ---- garbage ----

sub _files_of ($server) {
    my $n = 0;
    File::Find::find({ no_chdir => 1, wanted => sub { $n++ if -f } }, "$server->{dir}/data/layers");
    return $n;
}

# Images of one layer, so that they are there soon. The usual --gc-interval.
sub _garbage ($run) {
    my $n = $run->size(5000, 20);
    my @servers = $run->servers(['ours'], more => [ '--lease', "${LEASE}s", '--history-keep', '0', $run->{quick} ? ('--gc-interval', '1s') : () ]);
    my %rate;
    $run->row('garbage', "$n images", unit => 's', less => 1, servers => \@servers, rounds => 1, wanted => [ [ 'time', '', 10 ] ], measure => sub ($server) {
        $server->start;
        $run->progress("$server->{name}: $n images");
        load('images', -c => 8, -n => $n, -l => 1, -z => 2048, -S => 1, -d => "$server->{dir}/digests", $server->url(''), 'bench/gone');
        my $files = _files_of($server);
        load('requests', -m => 'DELETE', -x => 202, -c => 8, -p => "$server->{dir}/digests", $server->url(''));
        my $begin = time + $LEASE;
        my $seen  = $server->watch(sub {
            my $end = $begin + 120;
            sleep 0.25 while _files_of($server) > 0 && time < $end;
        });
        my $left    = _files_of($server);
        my $seconds = time - $begin;
        $run->note("garbage: $server->{name}: $left of $files files were still there after " . int($seconds) . ' s') if $left;
        push @{ $rate{ $server->{name} }{value} }, ($files - $left) / ($seconds > 0.25 ? $seconds : 0.25);
        $server->stop;
        return { value => $seconds, cpu => $seen->{cpu} * 1000, memory => $seen->{memory} };
    });
    $run->row_of('garbage', 'files', \%rate, unit => '/s');
    return;
}

# ---- Harbor's data set ----

sub _harbor ($run) {
    my $n       = $run->size(10_000, 100);
    my $clients = $run->size(500,    10);
    my @servers = $run->registries(more => [qw(--max-uploads 0 --max-connections-per-address 0 --max-tags 0)]);
    my %path;
    $run->row('harbor', "$n images", unit => '/s', servers => \@servers, rounds => 1, measure => sub ($server) {
        $server->start;
        my $seen = $server->watch(sub {
            load('images', -c => $clients, -n => $n, -l => 1, -z => 2048, -S => 1, -t => 5, $server->url(''), 'bench/harbor');
        });
        my $r = $seen->{result};
        return { value => $r->{rate}, p50 => $r->{p50}, p99 => $r->{p99}, cpu => $seen->{cpu} / $r->{done} * 1000, memory => $seen->{memory} };
    });
    $run->row('harbor', "GET, $clients", unit => '/s', servers => \@servers, measure => sub ($server) {
        return Bench::Work::Requests::measure_requests($server, '/v2/bench/harbor-0/manifests/t1-0', connections => $clients, seconds => $run->size(5, 0.3));
    });
    $run->stop_servers;
    return;
}

1;
