# "docker-registry-server import" of a directory of the original: its images come in as they were pushed,
# by a listing that it gave of itself; what is damaged is said and left out.
use v5.36;
use Registry limit => 300;
use FindBin;
use POSIX ();
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

sub import_of ($registry, $path, @args) { return Registry->try([ 'import', $path, '--dir', $registry->dir, @args ], timeout => 100) }

my @ALL = map { image($_) } 'A sent', 'B sent', 'C', 'E';

# A directory of it, as V1 clients left it, and what contrib/original-listing makes of it. The
# original parses JSON and writes it anew: no line's end, no escapes.
sub original ($tags, @images) {
    my $dir = tempdir();
    mkdir $_ for "$dir/layers", "$dir/db";
    my $listing = 'tags ' . json_of($tags) . "\n";
    for my $image (@images) {
        spew("$dir/layers/$image->{id}", $image->{layer});
        my $json = $image->{json} =~ s/\n\z//r =~ s/\\u00(26|3c|3e)/chr hex $1/ger;
        $listing .= join(' ', 'image', $image->{id}, length $image->{layer}, payload_of($image->{json}, $image->{layer}), $json) . "\n";
    }
    return ($dir, spew("$dir/listing", $listing), $listing);
}

# A pull by the first API gets these images, each as it was pushed.
sub is_pulled ($registry, $repository, $tag, @images) {
    my %got = map { $_->{id} => $_ } @{ Registry::V1->new($registry)->pull_images($repository, $tag)->{images} };
    my @wrong = grep { ($got{ $_->{id} }{json} // '') ne $_->{json} || ($got{ $_->{id} }{layer} // '') ne $_->{layer} } @images;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(join(' ', scalar keys %got, map { $_->{id} } @wrong), scalar @images, "$repository:$tag is pulled as it was pushed");
}

my $registry = Registry->start;

subtest 'a directory and a listing' => sub {
    my ($dir, $listing) = original({ 'foo/bar' => $ALL[1]{id}, 'library/top:1' => $ALL[3]{id}, 'top:2' => $ALL[0]{id} }, @ALL);
    is_refused(import_of($registry, $dir), qr/original-listing/, 'without a listing it says how to get one');
    my $ran = import_of($registry, $dir, '--listing', $listing);
    works($ran, 'import');
    is($ran->{out}, "imported 2 repositories, 3 tags, 4 blobs (0 linked, 4 copied)\n", '... and says so');
    is_pulled($registry, 'foo/bar', 'latest', @ALL[ 0, 1 ]);
    is_pulled($registry, 'top', '1', @ALL);
    is_pulled($registry, 'top', '2', $ALL[0]);
    my $again = Registry::V1->new($registry);
    is_v1_error($again->put_json($ALL[1]), 409, 'they are verified, and complete');
    my $ran_again = import_of($registry, $dir, '--listing', $listing);
    is($ran_again->{out}, "imported 2 repositories, 3 tags, 4 blobs (0 linked, 0 copied)\n", 'a second time nothing is copied');
    my $manifest = wait_for(60, sub { my $got = $registry->get('/v2/top/manifests/1'); $got->status == 200 ? $got : undef });
    ok($manifest, 'the second API serves them as well');
    is(scalar @{ $manifest ? $manifest->json->{layers} : [] }, 4, '... with their layers');
    is(import_of($registry, $dir, '--listing', $listing)->{out}, $ran_again->{out}, '... and once more changes nothing');
    is($registry->get('/v2/top/manifests/1')->header('Docker-Content-Digest'), $manifest && $manifest->header('Docker-Content-Digest'), '... of it');
    is((grep { / (?:added|tagged|verified)/ } split /\n/, $registry->output), 0, 'and no event was told');
    my $image = random_image();
    my ($bare) = original({ bare => $image->{id} }, $image);
    my $ran_bare = import_of($registry, $bare, '--listing', spew("$bare/bare", qq(# by hand\n\ntags {"bare":"$image->{id}"}\r\nimage $image->{id} - - {"id":"$image->{id}"}\n)));
    works($ran_bare, 'a listing without sizes and checksums');
    my ($got) = @{ Registry::V1->new($registry)->pull_images('bare', 'latest')->{images} };
    is($got->{layer}, $image->{layer}, '... will do');
};

subtest 'what is wrong is left out' => sub {
    my $other = Registry->start;
    my @chain = random_chain(3);
    my @good  = random_chain(2);
    my ($dir, $listing, $text) = original({ 'a/cut' => $chain[2]{id}, 'a/good' => $good[1]{id}, 'a/b:no tag' => $good[1]{id}, 'Up/Per:1' => $good[0]{id}, 'x/y' => 'z' }, @chain, @good);
    my $layer = slurp("$dir/layers/$chain[1]{id}");
    spew("$dir/layers/$chain[1]{id}", substr $layer, 0, -1);
    my $ran = import_of($other, $dir, '--listing', $listing);
    is($ran->{exit}, 1, 'exit code 1');
    is($ran->{out}, "imported 1 repository, 1 tag, 3 blobs (0 linked, 3 copied)\n", 'what is good comes in');
    is_pulled($other, 'a/good', 'latest', @good);
    like($ran->{err}, qr/image $chain[1]{id} is left out: its layer has/, 'a layer that was cut');
    like($ran->{err}, qr/tag a\/cut:latest is left out/, '... and its tag');
    like($ran->{err}, qr/a\/b:no tag is left out/,  'a tag with a blank');
    like($ran->{err}, qr/Up\/Per:1 is left out/,    'an upper-case name');
    like($ran->{err}, qr/tag x\/y is left out/, 'what is no id');

    substr($layer, -9, 1) ^.= "\1";
    spew("$dir/layers/$chain[1]{id}", $layer);
    like(import_of($other, $dir, '--listing', $listing)->{err}, qr/image $chain[1]{id} is left out: .*don't match its checksum/, 'a layer with another byte');
    unlink "$dir/layers/$chain[1]{id}";
    symlink '/etc/passwd', "$dir/layers/$chain[1]{id}";
    like(import_of($other, $dir, '--listing', $listing)->{err}, qr/image $chain[1]{id} is left out: .*symbolic link/, 'a link to somewhere else');
    my $without = $text =~ s/^image $chain[1]{id}.*\n//mr;
    spew($listing, $without);
    like(import_of($other, $dir, '--listing', $listing)->{err}, qr/image $chain[1]{id} is left out: it isn't in the listing/, 'one that the listing lacks');

    for my $bad (['image', 'line 1'], ['tags []', 'object'], ["tags {}\ntags {}", 'line 2'], ["image $chain[0]{id} x - {}", 'not a size'], ["image $chain[0]{id} 1 - {", 'line 1'], ['<html>', 'neither']) {
        spew($listing, "$bad->[0]\n");
        is_refused(import_of($other, $dir, '--listing', $listing), qr/$bad->[1]/, "a listing of '$bad->[0]'" =~ s/\n/ /gr);
    }
    is_refused(import_of($other, $dir, '--listing', "$dir/nothing"), qr/nothing/, 'a listing that is not there');
    is_deeply([ $other->files('uploads') ], [], 'nothing is left in uploads/');
};

# The original itself, its database in memory, since LevelDB would have to be compiled.
sub real_original () {
    my @missing = grep { !find_program($_) } 'node', 'npm', 'curl';
    return "not installed: @missing" if @missing;
    my $tmp = tempdir();
    my $npm = run([ 'npm', 'install', '--prefix', $tmp, '--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional', 'docker-registry-server@2.2.0' ],
        cwd => $tmp, timeout => 150, env => { npm_config_cache => "$tmp/cache", npm_config_update_notifier => 'false' });
    return 'npm cannot install it' if $npm->{exit} || $npm->{signal};
    spew("$tmp/old.js", <<~'END');
        process.EventEmitter = require('events');
        const Module = require('module');
        const load = Module._load;
        Module._load = function (name, ...more) { return load.call(this, name === 'leveldown' ? 'memdown' : name, ...more); };
        END
    my $port = free_port();
    mkdir "$tmp/data";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', "$tmp/log" or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT  or POSIX::_exit(126);
        { no warnings 'exec'; exec 'node', '-r', "$tmp/old.js", "$tmp/node_modules/docker-registry-server/bin.js", '--port', $port, '--dir', "$tmp/data", '--user', 'ann:a b"c' }
        POSIX::_exit(127);
    }
    my $client = Registry::Client->new(port => $port, user => 'ann:a b"c');
    return { client => $client, url => "http://127.0.0.1:$port", dir => "$tmp/data", pid => $pid, log => "$tmp/log" }
        if wait_for(30, sub { $client->get('/')->status == 200 });
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return 'it does not start: ' . slurp("$tmp/log");
}

subtest 'the original itself' => sub {
    my $original = real_original();
    plan(skip_all => $original) if !ref $original;
    my $v1     = Registry::V1->new($original->{client}, user => 'ann:a b"c');
    my @random = random_chain(4);
    my @pushed = ($v1->push_images('foo/bar', 'latest', @ALL[ 0, 1 ]), $v1->push_images('top', '1', @ALL), $v1->push_images('deep', 'v2', @random));
    is(scalar(grep { $_->[1]->status >= 400 && $_->[0] ne 'GET json' } @pushed), 0, 'it is pushed to');
    my $asked = run([ "$FindBin::Bin/../../contrib/original-listing", $original->{url}, 'ann:a b"c' ], timeout => 60);
    works($asked, 'contrib/original-listing');
    kill 'KILL', $original->{pid};
    waitpid $original->{pid}, 0;
    my $listing = spew(tempdir() . '/listing', $asked->{out});
    my $other   = Registry->start;
    my $ran     = import_of($other, $original->{dir}, '--listing', $listing);
    works($ran, 'import');
    is($ran->{out}, "imported 3 repositories, 3 tags, 8 blobs (0 linked, 8 copied)\n", '... of all');
    is_pulled($other, 'foo/bar', 'latest', @ALL[ 0, 1 ]);
    is_pulled($other, 'top',     '1',      @ALL);
    is_pulled($other, 'deep',    'v2',     @random);
};

finish();
