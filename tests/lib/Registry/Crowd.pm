package Registry::Crowd;
use v5.36;

# Many clients at once, who push and pull until they are told to stop, and say what went wrong.
#
#   my $clients = begin_clients($registry, 50);
#   ...
#   end_clients($clients, 'meanwhile');             # a test: none of their requests failed

use Exporter 'import';
use POSIX ();
use Registry::Tools;
use Test::More;

our @EXPORT = qw(begin_clients end_clients);

# Pushes and pulls until the file `stop` is there. Returns how many requests there were, and what went wrong.
sub work ($registry, $n, $stop, $again) {
    my ($requests, @wrong) = (0);
    my $layer = random_bytes(2000);
    my $is = sub ($response, $status, $what) {
        $requests++;
        push @wrong, "$what: " . ($response->status // '') . ' ' . substr($response->content // '', 0, 200) if ($response->status // 0) != $status;
    };
    my $kept;
    for (my $round = 0; !-e $stop && @wrong < 3; $round++) {
        my $name = "team/app$n";
        my $own  = random_bytes(300);
        my ($config, $manifest) = $registry->image_of([ $layer, $own ], note => "$n.$round");
        for my $bytes ($layer, $own, $config) {
            $is->($registry->push_blob($name, $bytes), 201, 'push');
        }
        $is->($registry->put_manifest($name, 'latest', $manifest), 201, 'manifest');
        # A connection that stays open: nginx keeps it for 1000 requests, and those to the workers.
        $kept = $registry->connect if $round % 50 == 0;
        for (1 .. 5) {
            for my $path ("/v2/$name/manifests/latest", "/v2/$name/blobs/" . digest($layer)) {
                my $response = $registry->get($path, on => $kept);
                $response = $registry->get($path, on => $kept = $registry->connect) if $again && $response->status == 599;
                $is->($response, 200, $path);
            }
        }
        $is->($registry->get("/v2/$name/tags/list"), 200, 'list');
    }
    return "$requests\n" . join '', map { "client $n: $_\n" } @wrong;
}

# again: a GET on a kept connection that ends before an answer is repeated, as HTTP wants it (RFC 9112, 9.3.1): when nginx
# reads its configuration again, it closes connections that are idle at that moment.
sub begin_clients ($registry, $number, $again = 0) {
    my $dir = tempdir();
    my @pids;
    for my $n (1 .. $number) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            spew("$dir/$n", eval { work($registry, $n, "$dir/stop", $again) } // "0\nclient $n: $@");
            POSIX::_exit(0);
        }
        push @pids, $pid;
    }
    return { dir => $dir, pids => \@pids };
}

sub end_clients ($clients, $name) {
    spew("$clients->{dir}/stop", '');
    waitpid $_, 0 for @{ $clients->{pids} };
    my ($requests, @wrong) = (0);
    for my $n (1 .. @{ $clients->{pids} }) {
        my ($number, @more) = split /\n/, -e "$clients->{dir}/$n" ? slurp("$clients->{dir}/$n") : "0\nclient $n: died";
        $requests += $number;
        push @wrong, @more;
    }
    is_deeply(\@wrong, [], "$name: none of $requests requests failed");
    cmp_ok($requests, '>', 500, '... and there were many');
    return;
}

1;
