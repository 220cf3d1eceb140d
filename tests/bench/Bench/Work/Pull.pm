package Bench::Work::Pull;
use v5.36;

# Pulls by curl, skopeo and docker; and what becomes of others' requests while clients upload.

use Bench;
use Bench::Docker;
use Bench::Load;
use Bench::Work::Push;
use Bench::Work::Requests;
use File::Path ();
use List::Util qw(sum0);
use Registry::Tools qw(slurp spew);
use Time::HiRes qw(sleep);

sub works ($class) {
    return (
        { name => 'pull',        about => 'pull of 1 GiB by curl',                    run => \&_curl },
        { name => 'pull-skopeo', about => 'pull of 20 layers of 4 MiB by skopeo',     run => \&_skopeo },
        { name => 'pull-docker', about => 'the same by a docker engine',              run => \&_docker },
        { name => 'mixed',       about => 'GET of a manifest, and a pull of 256 MiB, while 4 clients upload', run => \&_mixed },
    );
}

sub _with_time ($seen) { return { value => $seen->{result}, cpu => $seen->{cpu} * 1000, memory => $seen->{memory} } }

# Servers that have these layers as bench/pull:latest.
sub _filled ($run, $servers, @layers) {
    for my $server (@$servers) {
        $server->start;
        if ($server->{limit}) {
            mkdir "$server->{dir}/site";
            link $layers[0]{path}, "$server->{dir}/site/blob" or die "link: $!\n";
            chmod 0644, $layers[0]{path};
            $server->{pull} = $server->url('/blob');
            next;
        }
        Bench::Work::Push::push_layers($server, 'bench/pull', @layers);
        $server->{pull} = $server->url("/v2/bench/pull/blobs/$layers[0]{digest}");
    }
    settle();
    return;
}

sub _curl ($run) {
    my @servers = $run->with_nginx;
    my $layer   = random_file('large', $run->size(1 << 30, 1 << 20));
    _filled($run, \@servers, $layer);
    check_download($_->{pull}, $layer->{digest}, $_->{name}) for @servers;
    $run->row('pull', '1 GiB', unit => 's', less => 1, servers => \@servers, wanted => [ [ 'time', 'best', 1 ] ], measure => sub ($server) {
        return _with_time($server->watch(sub {
            my ($size, $seconds) = split / /, curl_download($server->{pull});
            die "$server->{name}: $size bytes\n" if $size != $layer->{size};
            return $seconds;
        }));
    });
    $run->stop_servers;
    unlink $layer->{path};
    return;
}

sub _twenty ($run) { return map { random_file("layer-$_", $run->size(4 << 20, 4096)) } 1 .. 20 }

sub _skopeo ($run) {
    return $run->note('pull-skopeo: left out, skopeo is not installed') if !has('skopeo');
    my @servers = $run->registries;
    my @layers  = _twenty($run);
    _filled($run, \@servers, @layers);
    $run->row('pull-skopeo', '20 layers', unit => 's', less => 1, servers => \@servers, wanted => [ [ 'time', 'best', 1 ] ], measure => sub ($server) {
        my $to   = "$server->{dir}/pulled";
        my $seen = $server->watch(sub {
            return (timed(sub { command('skopeo', '--insecure-policy', 'copy', '-q', '--src-tls-verify=false', "docker://127.0.0.1:$server->{port}/bench/pull:latest", "dir:$to") }))[0];
        });
        for my $layer (@layers) { die "$server->{name}: $layer->{digest} is missing\n" if -s "$to/" . $layer->{digest} =~ s/.*://r != $layer->{size} }
        File::Path::remove_tree($to);
        return _with_time($seen);
    });
    $run->stop_servers;
    unlink map { $_->{path} } @layers;
    return;
}

sub _docker ($run) {
    my ($docker, $why) = Bench::Docker->start;
    return $run->note("pull-docker: left out, $why") if !$docker;
    my @servers = $run->registries;
    my @layers  = map { tar_file("layer-$_", $run->size(4 << 20, 4096)) } 1 .. 20;
    _filled($run, \@servers, @layers);
    $run->row('pull-docker', '20 layers', unit => 's', less => 1, servers => \@servers, wanted => [ [ 'time', 'best', 1 ] ], rounds => $run->size(2, 1), measure => sub ($server) {
        my $image = "127.0.0.1:$server->{port}/bench/pull:latest";
        my $seen  = $server->watch(sub { (timed(sub { $docker->run('pull', '-q', $image) }))[0] });
        $docker->run('rmi', '-f', $image);
        return _with_time($seen);
    });
    $docker->stop;
    $run->stop_servers;
    unlink map { $_->{path} } @layers;
    return;
}

# A tar of one random file, as docker wants it.
sub tar_file ($name, $size) {
    my $file = random_file("$name.bytes", $size);
    my $path = tempdir() . "/$name";
    command('tar', '-C', tempdir(), '-cf', $path, "$name.bytes");
    unlink $file->{path};
    return { path => $path, size => -s $path, digest => digest_of($path) };
}

# ---- while others upload ----

sub _place ($head) { return $head =~ m{^location: *(?:https?://[^/]+)?(/\S+)}mi ? $1 : die "no Location\n" }

# Runs the work while 4 clients push a layer of 64 MiB again and again. What the work returns; and the number of pushes.
sub _while_uploading ($server, $layer, $work) {
    my $ends = "$server->{dir}/ends";
    my @pids = map {
        my $done = "$ends.$_";
        in_child(sub {
            my $n = 0;
            for (; !-e $ends; $n++) {
                my $place = $server->{client}->start_upload('bench/up') // die "no upload\n";
                $place = _place(curl_upload('PATCH', $layer->{path}, '-D', '-', '-o', '/dev/null', $server->url($place)));
                my $answer = $server->{client}->put($server->{client}->with_digest($place, $layer->{digest}), body => '');
                die "$server->{name}: " . $answer->describe if $answer->status != 201;
            }
            spew($done, $n);
        });
    } 1 .. 4;
    sleep 0.3;
    my $result = eval { $work->() };
    my $why    = $@;
    spew($ends, '');
    wait_child(@pids);
    my $pushes = sum0(map { slurp("$ends.$_") } 1 .. 4);
    unlink $ends, map { "$ends.$_" } 1 .. 4;
    die $why if $why;
    return ($result, $pushes);
}

# Pulls again and again, since the uploads come in waves: all are received, or hashed, or synced. Bytes and seconds.
sub _pull_for ($seconds, $server, $pulled) {
    my ($bytes, $spent) = (0, 0);
    while ($spent < $seconds) {
        my ($size, $took) = split / /, curl_download($server->{pull});
        die "$server->{name}: $size bytes\n" if $size != $pulled->{size};
        $bytes += $size;
        $spent += $took;
    }
    return [ $bytes, $spent ];
}

sub _mixed ($run) {
    my @servers = $run->registries;
    my $pulled  = random_file('pulled', $run->size(256 << 20, 1 << 20));
    my $up      = random_file('up',     $run->size(64 << 20,  1 << 18));
    _filled($run, \@servers, $pulled);
    $_->{path} = Bench::Work::Requests::push_image($_)->{manifest} for @servers;
    $run->row('mixed', 'manifest GET, 8', unit => '/s', servers => \@servers, wanted => [ [ 'p99', 'best', 0.5 ] ], measure => sub ($server) {
        return (_while_uploading($server, $up, sub {
            return Bench::Work::Requests::measure_requests($server, $server->{path}, connections => 8, seconds => $run->size(3, 0.3));
        }))[0];
    });
    $run->row('mixed', 'pull', unit => 'GiB/s', servers => \@servers, wanted => [ [ 'rate', 'best', 1.3 ] ], measure => sub ($server) {
        my ($seen) = _while_uploading($server, $up, sub { _pull_for($run->size(3, 0.1), $server, $pulled) });
        return { value => $seen->[0] / $seen->[1] / (1 << 30) };
    });
    $run->row('mixed', 'push', unit => 'GiB/s', servers => \@servers, measure => sub ($server) {
        my ($seen, $pushes) = _while_uploading($server, $up, sub {
            return (timed(sub { _pull_for($run->size(3, 0.1), $server, $pulled) }))[0];
        });
        return { value => $pushes * $up->{size} / $seen / (1 << 30) };
    });
    $run->stop_servers;
    unlink $_->{path} for $pulled, $up;
    return;
}

1;
