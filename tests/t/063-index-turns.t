# Layers are indexed in turn: a repository, or a user, with many costly layers delays another's by about one of them.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Layers;
use Registry::Process;
use Registry::Tools;
use Registry::V1 ();
use IO::Compress::Bzip2 qw(bzip2 $Bzip2Error);
use POSIX ();
use Test::More;
use Time::HiRes qw(stat);

my $MANY = 12;

# The keeper is stopped while clients push, and nobody wakes it meanwhile.
my @PATIENT = ('--watchdog', '100s');

# A layer that takes a while: a large file, well compressed.
my $MEMBER = gzip_of("\0" x 16_000_000, 1);
sub costly ($name, $n = 15) {
    my $tar = tar_of("f $name x");
    return raw_layer(gzip_of($tar =~ s/\0{1024}\z//r) . $MEMBER x $n);
}

my $small = gzip_layer(tar_of('f small text'));

# Pushes while nothing is indexed, and the small layer last: how many are indexed before that.
sub before_small ($registry, $push, $by = $registry) {
    my ($keeper) = $registry->children('keeper');
    stop_at_rest($keeper);
    $push->();
    push_layers($by, 'small', 'v1', $small);
    kill 'CONT', $keeper;
    my ($hex) = digest($small->{blob}) =~ /:(.*)/;
    my $file;
    wait_for(100, sub { ($file) = grep { /\Q$hex\E/ } $registry->files('index'); $file }) or return 'never';
    my $of = sub ($name) { return (stat $registry->dir . "/$name")[9] };
    my $at = $of->($file);
    return scalar grep { $of->($_) < $at } $registry->files('index');
}

subtest 'many layers of another repository' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, @PATIENT ]);
    my $before   = before_small($registry, sub { push_layers($registry, 'costly', "v$_", costly("costly$_")) for 1 .. $MANY });
    cmp_ok($before, '<=', 1, 'a small layer is indexed after one of them at most');
    ok(wait_for(100, sub { $registry->files('index') == $MANY + 1 }), '... and all are');
};

subtest 'an image of many layers' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, @PATIENT ]);
    my $before   = before_small($registry, sub { push_layers($registry, 'costly', 'v1', map { costly("costly$_") } 1 .. $MANY) });
    cmp_ok($before, '<=', 1, 'a small layer is indexed after one of them at most');
};

subtest 'many repositories of another user' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, @PATIENT, '--user', 'ann:secret', '--user', 'bob:second' ], user => 'ann:secret');
    my $push = sub { push_layers($registry, "costly/r$_", 'v1', costly("costly$_")) for 1 .. $MANY };
    cmp_ok(before_small($registry, $push, $registry->with(user => 'bob:second')), '<=', 1, 'a small layer is indexed after one of them at most');
};

subtest 'many images that have to be converted' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, @PATIENT ]);
    my $v1       = Registry::V1->new($registry);
    my $push     = sub {
        for my $i (1 .. $MANY) {
            my $image = Registry::V1::random_image();
            $image->{layer}   = costly("costly$i")->{blob};
            $image->{payload} = Registry::V1::payload_of($image->{json}, $image->{layer});
            my @wrong = grep { $_->[1]->status != $_->[2] } $v1->push_images('costly', "v$i", $image);
            fail("image $i: $_->[0]") for @wrong;
        }
    };
    cmp_ok(before_small($registry, $push), '<=', 1, 'a small layer is indexed after one of them at most');
    ok(wait_for(100, sub { $registry->get("/v2/costly/manifests/v$MANY")->status == 200 }), '... and all are converted');
};

subtest 'many layers that somebody waits for' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, '--index-wait', '1s', @PATIENT ]);
    my $push     = sub {
        push_layers($registry, 'costly', "v$_", costly("costly$_")) for 1 .. $MANY;
        is_status($registry->get("/v2/costly/_image/v$_/tree/"), 503, "costly$_ is asked for") for 1 .. $MANY;
    };
    my $asker = fork // die;
    if ($asker == 0) {
        wait_for(60, sub { $registry->get('/v2/small/_image/v1/tree/')->status == 200 });
        POSIX::_exit(0);
    }
    cmp_ok(before_small($registry, $push), '<=', 1, 'a small layer that is asked for is indexed after one of them at most');
    waitpid $asker, 0;
};

# So many that fit into one child, where nobody knows beforehand what they take.
sub costly_and_little ($name) {
    my $tar = substr tar_of("f $name x"), 0, 512;
    state $zeros = "\0" x 50_000_000;
    bzip2(\$tar, \my $head) or die $Bzip2Error;
    bzip2(\$zeros, \state $member, BlockSize100K => 9) or die $Bzip2Error;
    return raw_layer($head . $member x 4);
}

subtest 'many little layers that take a while' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, '--index-max-ratio', 1_000_000_000, @PATIENT ]);
    my $before   = before_small($registry, sub { push_layers($registry, 'costly', 'v1', map { costly_and_little("costly$_") } 1 .. $MANY) });
    cmp_ok($before, '<=', 1, 'a small layer is indexed after one of them at most');
    ok(wait_for(100, sub { $registry->files('index') == $MANY + 1 }), '... and all are');
};

# An image of the first API that is built upon an id of the second needs the proof of that id.
sub build_upon ($registry, $repository, $tag) {
    my $manifest = $registry->get("/v2/$repository/manifests/$tag", headers => { Accept => '*/*' })->json // return 0;
    my ($id) = ($manifest->{config}{digest} // '') =~ /^sha256:(.*)/ or return 0;
    return Registry::V1->new($registry)->put_json(Registry::V1::random_image($id))->status;
}

subtest 'many layers whose images are named by their ids' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, @PATIENT ]);
    my $push     = sub {
        push_layers($registry, 'costly', "v$_", costly("costly$_")) for 1 .. $MANY;
        is(build_upon($registry, 'costly', "v$_"), 503, "costly$_ is asked for") for 1 .. $MANY;
    };
    my $asker = fork // die;
    if ($asker == 0) {
        wait_for(60, sub { build_upon($registry, 'small', 'v1') == 200 });
        POSIX::_exit(0);
    }
    cmp_ok(before_small($registry, $push), '<=', 1, 'a small layer whose image is named is indexed after one of them at most');
    waitpid $asker, 0;
};

finish();
