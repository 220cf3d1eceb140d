package Bench::Work::Push;
use v5.36;

# Pushes: of small images, and of large layers.

use Bench;
use Bench::Load;
use File::Path ();
use Registry::Tools qw(json_of);
use Time::HiRes qw(time);

my $LAYER  = 'application/vnd.oci.image.layer.v1.tar';
my $CONFIG = 'application/vnd.oci.image.config.v1+json';

sub works ($class) {
    return (
        { name => 'images-new',   about => 'pushes of new images of 3 layers of 4 KB by 8 clients', run => \&_images_new },
        { name => 'images-again', about => 'pushes of images that are there, by 8 clients',         run => \&_images_again },
        { name => 'repositories', about => 'new repositories, of an empty index each, by 32 clients', run => \&_repositories },
        { name => 'push',         about => 'push of a layer of 1 GiB; of 8 layers of 64 MiB by 8 clients', run => \&_large },
    );
}

sub _per_unit ($seen, $unit = 'done') {
    my $r = $seen->{result};
    return { value => $r->{rate}, p50 => $r->{p50}, p99 => $r->{p99}, cpu => $seen->{cpu} / $r->{done} * 1000, memory => $seen->{memory} };
}

# The disk's part of a new image: 4 blobs and a manifest, each a file that is written, synced and renamed, as
# many at once as there are clients.
sub _disk ($seconds) {
    my $dir = tempdir() . '/disk';
    mkdir $dir;
    my ($begin, $done) = (time, 0);
    in_children(8, sub ($i) {
        for (my $n = 0; time < $begin + $seconds; $n++) {
            for my $file (map { "$dir/$i-$n-$_" } 0 .. 4) {
                open my $out, '>', "$file-" or die "$file: $!\n";
                print {$out} 'x' x 4096;
                $out->flush && $out->sync && close $out && rename("$file-", $file) or die "$file: $!\n";
            }
        }
    });
    my $seconds_all = time - $begin;
    my $files = () = glob "$dir/*-4";
    File::Path::remove_tree($dir);
    return { value => $files / $seconds_all };
}

# What stands for a server where the disk is the limit.
sub _disk_server () { return Bench::Server->new(name => 'disk', about => 'write and fsync alone', disk => 1) }

sub _images_new ($run) {
    my @servers = $run->registries;
    $_->start for @servers;
    my $seconds = $run->size(3, 0.5);
    my $seed    = 0;
    my $disk    = _disk_server();
    $run->row('images-new', '8', unit => '/s', servers => [ @servers, $disk ], wanted => [ [ 'rate', 'zot', 1.5 ], [ 'cpu', '', 10 ], [ 'memory', '', 64 ] ], measure => sub ($server) {
        return _disk($seconds) if $server == $disk;
        $seed++;
        return _per_unit($server->watch(sub { load('images', -c => 8, -s => $seconds, -S => $seed, $server->url(''), 'bench/new') }));
    });
    $run->stop_servers;
    return;
}

sub _images_again ($run) {
    my @servers = $run->registries;
    my $n = $run->size(80, 8);
    for my $server (@servers) {
        $server->start;
        load('images', -c => 8, -n => $n, -S => 1, $server->url(''), 'bench/again');
    }
    settle();
    $run->row('images-again', '8', unit => '/s', servers => \@servers, measure => sub ($server) {
        return _per_unit($server->watch(sub { load('images', '-a', -c => 8, -n => $n, -s => $run->{seconds}, -S => 1, $server->url(''), 'bench/again') }));
    });
    $run->stop_servers;
    return;
}

sub _repositories ($run) {
    my @servers = $run->registries;
    $_->start for @servers;
    my $index = Registry::Tools::spew(tempdir() . '/index', json_of({ schemaVersion => 2, mediaType => 'application/vnd.oci.image.index.v1+json', manifests => [] }));
    my $part  = 0;
    $run->row('repositories', '32', unit => '/s', servers => \@servers, measure => sub ($server) {
        $part++;
        return _per_unit($server->watch(sub {
            load('requests', -c => 32, -n => $run->size(1000, 64), -m => 'PUT', -x => 201, -f => $index,
                -H => 'Content-Type: application/vnd.oci.image.index.v1+json', $server->url("/v2/bench/r$part-%d/manifests/latest"));
        }));
    });
    $run->stop_servers;
    return;
}

# ---- large layers ----

sub push_layers ($server, $repository, @layers) {
    in_children(scalar @layers, sub ($i) { push_blob($server, $repository, $layers[$i]) });
    my $config = push_small($server, $repository, $CONFIG, json_of({ architecture => 'amd64', os => 'linux',
            rootfs => { type => 'layers', diff_ids => [ map { $_->{digest} } @layers ] } }));
    put_manifest($server, $repository, 'latest', $config, map { my $layer = $_; +{ mediaType => $LAYER, map { $_ => $layer->{$_} } qw(digest size) } } @layers);
    return;
}

# The bytes of the layers, once: written, hashed and synced, as many at once as there are layers.
sub _write_and_sync (@layers) {
    my $dir = tempdir() . '/disk';
    mkdir $dir;
    my ($seconds) = timed(sub {
        in_children(scalar @layers, sub ($i) {
            command('cp', $layers[$i]{path}, "$dir/$i");
            command('sync', "$dir/$i");
            die "other bytes\n" if digest_of("$dir/$i") ne $layers[$i]{digest};
        });
    });
    File::Path::remove_tree($dir);
    return { value => $seconds };
}

sub _large ($run) {
    my @servers = $run->registries;
    my $disk    = _disk_server();
    my @rows    = (
        [ '1 GiB',      [ random_file('large', $run->size(1 << 30, 1 << 20)) ] ],
        [ '8 x 64 MiB', [ map { random_file("part-$_", $run->size(64 << 20, 1 << 18)) } 1 .. 8 ] ],
    );
    for (@rows) {
        my ($name, $layers) = @$_;
        settle();
        $run->row('push', $name, unit => 's', less => 1, servers => [ @servers, $disk ], wanted => [ [ 'time', 'best', 0.8 ] ], measure => sub ($server) {
            settle();
            return _write_and_sync(@$layers) if $server == $disk;
            $server->start;
            my $seen = $server->watch(sub { (timed(sub { push_layers($server, 'bench/large', @$layers) }))[0] });
            $server->stop;
            return { value => $seen->{result}, cpu => $seen->{cpu} * 1000, memory => $seen->{memory} };
        });
    }
    unlink map { $_->{path} } map { @{ $_->[1] } } @rows;
    return;
}

1;
